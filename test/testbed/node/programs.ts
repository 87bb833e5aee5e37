import { posix } from "node:path";
import type { Container, Pod } from "./pod";

/** What the node has in place of container images. */
export interface Installed {
  /** The folder with the programs of the Python environment. */
  readonly pythonPrograms: string;
  /** KServe's own entry point of its storage initializer's image. */
  readonly storageInitializer: string;
}

/** A program to run in place of a container. */
export interface Program {
  readonly command: string;
  readonly arguments: readonly string[];
  /** What the image itself sets; the container's own variables go before. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Where a container's paths are on this machine: each mount path and the folder of its volume. */
export type Mounts = ReadonlyMap<string, string>;

/** A pod that asks for something that this node cannot do. */
export class CannotRunError extends Error {
  constructor(
    /** A reason as a kubelet gives it in a container's waiting state. */
    readonly reason: string,
    message: string,
  ) {
    super(message);
    this.name = "CannotRunError";
  }
}

const MLSERVER = /^(docker\.io\/)?seldonio\/mlserver:1\.7\.1$/;
const STORAGE_INITIALIZER = /^(docker\.io\/)?kserve\/storage-initializer:[\w.-]+$/;

/** Where seldonio/mlserver looks for models. */
const MLSERVER_MODELS = "/mnt/models";

/**
 * The program that a container's image stands for, with the container's arguments.
 * @throws CannotRunError for an image that is not installed, and for what a process without a container cannot have
 */
export function programOf(container: Container, installed: Installed): Program {
  const { name, image, args = [] } = container;
  if (container.command !== undefined) throw unsupported(`container ${name} has a command of its own`);
  if ((container.envFrom ?? []).length > 0) throw unsupported(`container ${name} has envFrom`);
  if (container.livenessProbe !== undefined) throw unsupported(`container ${name} has a liveness probe`);
  if (container.startupProbe !== undefined) throw unsupported(`container ${name} has a startup probe`);
  if (container.restartPolicy !== undefined) throw unsupported(`container ${name} has a restart policy of its own`);
  if (STORAGE_INITIALIZER.test(image)) {
    const command = posix.join(installed.pythonPrograms, "python");
    return { command, arguments: [installed.storageInitializer, ...args], environment: {} };
  }
  if (MLSERVER.test(image)) {
    if (args.length > 0) throw unsupported(`container ${name} has arguments, which replace what ${image} runs`);
    return {
      command: posix.join(installed.pythonPrograms, "mlserver"),
      arguments: ["start", MLSERVER_MODELS],
      environment: { MLSERVER_MODELS_DIR: MLSERVER_MODELS },
    };
  }
  throw new CannotRunError(
    "ErrImagePull",
    `The testbed's node has docker.io/seldonio/mlserver:1.7.1 and kserve/storage-initializer only, not ${image}`,
  );
}

/**
 * Where the volumes that a container mounts are: each emptyDir is a folder of the pod's. The ServiceAccount's token is
 * left out, since nothing that runs here speaks to the API server.
 * @throws CannotRunError for any other kind of volume
 */
export function mountsOf(container: Container, pod: Pod, podDirectory: string): Mounts {
  const mounts = new Map<string, string>();
  for (const { name, mountPath, subPath } of container.volumeMounts ?? []) {
    if (mountPath === "/var/run/secrets/kubernetes.io/serviceaccount") continue;
    const volume = pod.spec.volumes?.find(candidate => candidate.name === name);
    if (volume?.emptyDir === undefined || subPath !== undefined) {
      throw unsupported(`container ${container.name} mounts ${name}, which is no plain emptyDir`);
    }
    mounts.set(mountPath, posix.join(podDirectory, "volumes", name));
  }
  return mounts;
}

/** A text in which a path below a mount path is the one on this machine; any other text as it is. */
export function onThisMachine(text: string, mounts: Mounts): string {
  for (const [mountPath, folder] of mounts) {
    if (text === mountPath || text.startsWith(`${mountPath}/`)) return folder + text.slice(mountPath.length);
  }
  return text;
}

function unsupported(what: string): CannotRunError {
  return new CannotRunError("CreateContainerConfigError", `The testbed's node cannot run this pod: ${what}`);
}
