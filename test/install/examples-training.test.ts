import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { createMlflowTransport } from "../../capabilities/mlflow/transport";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { applyTwice, copyExamples, EXAMPLES, installCustomResources, readmeCommands } from "./examples-support";
import { removeNamespaces, settingsOf } from "./examples-support";

const FOLDER = path.join(EXAMPLES, "training");
const MINUTES = 60_000;

describe("in a cluster", () => {
  const copy = copyExamples();

  beforeAll(async () => {
    await removeNamespaces(copy, "mlflow-training");
    const names = ["workflowtemplates", "cronworkflows", "workflows"].map(name => `argoproj.io_${name}`);
    await installCustomResources(copy, "argo", names);
  }, 5 * MINUTES);

  afterAll(async () => {
    await removeNamespaces(copy, "mlflow-training");
  }, 5 * MINUTES);

  it(
    "is accepted without a warning and unchanged by a second apply",
    async () => {
      for (const folder of [FOLDER, path.join(FOLDER, "job"), path.join(FOLDER, "argo")]) {
        expect(await applyTwice(copy, folder)).toEqual([]);
      }
      await copy.kubectl(["create", "-f", path.join(FOLDER, "argo", "run.yaml")]);
      await removeNamespaces(copy, "mlflow-training");
    },
    5 * MINUTES,
  );

  // The pods' containers do not run here, kwok says that they did; what the scripts do is shown below.
  it(
    "runs by the commands of its README: the pods pass the restricted Pod Security Standard",
    async () => {
      for (const block of readmeCommands(path.join(copy.root, FOLDER, "README.md"))) {
        await copy.shell(block.replace(/^kubectl .* logs .*\n/m, ""));
      }
      expect(await copy.kubectl(["get", "namespace", "mlflow-training", "--ignore-not-found"])).toBe("");
    },
    10 * MINUTES,
  );
});

describe("the scripts", () => {
  const work = mkdtempSync(path.join(tmpdir(), "training-"));
  const versionFile = path.join(work, "version");
  const model = uniqueModel("trained");
  const environment = {
    ...process.env,
    ...settingsOf(path.join(FOLDER, "training.env")),
    MLFLOW_TRACKING_URI: inject("mlflowTrackingUri"),
    MODEL_NAME: model,
  };
  const transport = createMlflowTransport({
    trackingUri: inject("mlflowTrackingUri"),
    deadline: 30_000,
  });

  afterAll(() => {
    rmSync(work, { recursive: true, force: true });
  });

  interface Ended {
    readonly code: number;
    readonly said: string;
  }

  /** Runs a script as its container does, with the testbed's Python, which has the image's packages. */
  async function run(script: string, settings: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const args = [path.resolve(FOLDER, "scripts", script), `--version-file=${versionFile}`];
    const options = { cwd: work, env: { ...environment, ...settings, PYTHONDONTWRITEBYTECODE: "1" } };
    try {
      const { stdout, stderr } = await promisify(execFile)(inject("python"), args, options);
      return { code: 0, said: stdout + stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, said: stdout + stderr };
    }
  }

  async function trained(): Promise<string> {
    expect(await run("train.py")).toMatchObject({ code: 0 });
    return readFileSync(versionFile, "utf8");
  }

  async function tagsOf(version: string): Promise<Record<string, string>> {
    const query = { name: model, version };
    const answer = await transport({ method: "GET", path: "model-versions/get", query });
    const { tags = [] } = (answer as { model_version: { tags?: { key: string; value: string }[] } }).model_version;
    return Object.fromEntries(tags.map(({ key, value }) => [key, value]));
  }

  it(
    "train, test and tag; the module deploys what passed, and what fails the gate is not tagged",
    async () => {
      const listener = await startListener({ settings: { STORAGE_URI_BASE: "s3://mlflow" } });

      expect(await trained()).toBe("1");
      expect(await run("evaluate.py")).toMatchObject({ code: 0 });
      expect(await run("deploy.py")).toMatchObject({ code: 0 });
      expect(await tagsOf("1")).toMatchObject({ deploy: "true", quality_gate: "passed" });
      expect(Number((await tagsOf("1")).accuracy)).toBeGreaterThan(0.9);
      expect(await listener.deliver({ model, version: "1" })).toMatchObject({ status: 200 });
      expect(await listener.deployed()).toContain(`mlflow-${model}-v1`);

      expect(await trained()).toBe("2");
      const refused = await run("evaluate.py", { MINIMUM_ACCURACY: "1.1" });
      expect(refused.code).toBe(1);
      expect(refused.said).toContain(`${model} version 2 is not deployed: its accuracy`);
      expect(await tagsOf("2")).toMatchObject({ quality_gate: "failed" });
      expect(await tagsOf("2")).not.toHaveProperty("deploy");
      expect(await listener.deliver({ model, version: "2" })).toMatchObject({ status: 200 });
      expect(await listener.deployed()).not.toContain(`mlflow-${model}-v2`);

      const worse = await run("evaluate.py", { TOLERATED_LOSS: "-0.5" });
      expect(worse.code).toBe(1);
      expect(worse.said).toContain("that serves now");
    },
    10 * MINUTES,
  );

  it(
    "leave the tag on the newest versions only, as many as are to be kept",
    async () => {
      for (const version of ["2", "3"]) {
        if (version === "3") expect(await trained()).toBe("3");
        expect(await run("deploy.py")).toMatchObject({ code: 0 });
      }

      expect(await tagsOf("1")).not.toHaveProperty("deploy");
      expect(await tagsOf("2")).toMatchObject({ deploy: "true" });
      expect(await tagsOf("3")).toMatchObject({ deploy: "true" });
    },
    10 * MINUTES,
  );
});
