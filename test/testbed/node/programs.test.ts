import { describe, expect, it } from "vitest";
import type { Container, Pod } from "./pod";
import { CannotRunError, mountsOf, onThisMachine, programOf } from "./programs";

const INSTALLED = { pythonPrograms: "/python/bin", storageInitializer: "/kserve/initializer-entrypoint.py" };
const MLSERVER: Container = { name: "kserve-container", image: "docker.io/seldonio/mlserver:1.7.1" };

const podWith = (volumes: Pod["spec"]["volumes"]): Pod => ({
  metadata: { name: "pod", namespace: "models", uid: "1" },
  spec: { containers: [], ...(volumes && { volumes }) },
});

describe("The program of a container", () => {
  it("is the storage initializer with the container's own arguments", () => {
    const args = ["s3://mlflow/1/models/m-1/artifacts", "/mnt/models"];
    const program = programOf({ name: "init", image: "kserve/storage-initializer:latest", args }, INSTALLED);
    expect(program.command).toBe("/python/bin/python");
    expect(program.arguments).toEqual(["/kserve/initializer-entrypoint.py", ...args]);
  });

  it("is MLServer over the folder that its image has for models", () => {
    const program = programOf(MLSERVER, INSTALLED);
    expect([program.command, ...program.arguments]).toEqual(["/python/bin/mlserver", "start", "/mnt/models"]);
  });

  it.each([
    ["another image", { image: "kserve/sklearnserver:latest" }, "ErrImagePull", "not kserve/sklearnserver:latest"],
    ["another release", { image: "docker.io/seldonio/mlserver:1.6.0" }, "ErrImagePull", "mlserver:1.6.0"],
    ["a look-alike", { image: "evil.io/seldonio/mlserver:1.7.1" }, "ErrImagePull", "evil.io"],
    ["a command", { command: ["sh"] }, "CreateContainerConfigError", "a command of its own"],
    ["a liveness probe", { livenessProbe: {} }, "CreateContainerConfigError", "a liveness probe"],
    ["a sidecar", { restartPolicy: "Always" }, "CreateContainerConfigError", "a restart policy"],
  ])("is refused for %s, with the reason", (_, change, reason, message) => {
    const attempt = (): unknown => programOf({ ...MLSERVER, ...change }, INSTALLED);
    expect(attempt).toThrow(CannotRunError);
    expect(attempt).toThrow(expect.objectContaining({ reason, message: expect.stringContaining(message) as string }));
  });
});

describe("The mounts of a container", () => {
  it("lead each path below an emptyDir to a folder of the pod's, and no other path", () => {
    const container = { ...MLSERVER, volumeMounts: [{ name: "models", mountPath: "/mnt/models" }] };
    const mounts = mountsOf(container, podWith([{ name: "models", emptyDir: {} }]), "/pods/1");
    expect(onThisMachine("/mnt/models", mounts)).toBe("/pods/1/volumes/models");
    expect(onThisMachine("/mnt/models/MLmodel", mounts)).toBe("/pods/1/volumes/models/MLmodel");
    expect(onThisMachine("/mnt/models2", mounts)).toBe("/mnt/models2");
    expect(onThisMachine("s3://mlflow/mnt/models", mounts)).toBe("s3://mlflow/mnt/models");
  });

  it("are refused for a volume that is no emptyDir", () => {
    const container = { ...MLSERVER, volumeMounts: [{ name: "disk", mountPath: "/data" }] };
    const pod = podWith([{ name: "disk", persistentVolumeClaim: { claimName: "disk" } }]);
    expect(() => mountsOf(container, pod, "/pods/1")).toThrow("mounts disk, which is no plain emptyDir");
  });
});
