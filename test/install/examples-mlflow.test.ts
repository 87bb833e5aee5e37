import { readFileSync } from "node:fs";
import { request } from "node:http";
import path from "node:path";
import { load } from "js-yaml";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { mlflowEnvironment, startMlflow } from "../testbed/mlflow";
import type { MlflowServer } from "../testbed/mlflow";
import { run } from "../testbed/commands";
import { waitFor } from "../support/waiting";
import {
  applyTwice,
  copyExamples,
  EXAMPLES,
  filesBelow,
  installCustomResources,
  readmeCommands,
  removeNamespaces,
  settingsOf,
} from "./examples-support";

const FOLDER = path.join(EXAMPLES, "mlflow");
const MINUTES = 60_000;

describe("in a cluster", () => {
  const copy = copyExamples();

  beforeAll(async () => {
    await removeNamespaces(copy, "mlflow");
    await installCustomResources(copy, "prometheus", ["monitoring.coreos.com_servicemonitors"]);
  }, 5 * MINUTES);

  afterAll(async () => {
    await removeNamespaces(copy, "mlflow");
  }, 5 * MINUTES);

  it(
    "is accepted without a warning and unchanged by a second apply",
    async () => {
      for (const folder of [FOLDER, path.join(FOLDER, "monitoring"), path.join(FOLDER, "ingress")]) {
        expect(await applyTwice(copy, folder)).toEqual([]);
      }
      await removeNamespaces(copy, "mlflow");
    },
    5 * MINUTES,
  );

  it(
    "is accepted with an object store of one's own, and has none itself then",
    async () => {
      const folder = path.join(FOLDER, "external-s3");
      expect(await applyTwice(copy, folder)).toEqual([]);

      const names = await copy.kubectl(["get", "statefulset,service,networkpolicy", "-n", "mlflow", "-o", "name"]);
      expect(names).toContain("statefulset.apps/postgres");
      expect(names).not.toContain("object-store");
      await removeNamespaces(copy, "mlflow");
    },
    5 * MINUTES,
  );

  it(
    "runs by the commands of its README: the pods pass the restricted Pod Security Standard",
    async () => {
      const [install = "", ...rest] = readmeCommands(path.join(copy.root, FOLDER, "README.md"));
      await copy.shell(install);

      for (const pod of ["postgres-0", "object-store-0"]) {
        await waitFor(pod, async () => copy.kubectl(["get", "pod", pod, "-n", "mlflow", "-o", "name"]), 60_000);
      }
      for (const block of rest) await copy.shell(block);
      expect(await copy.kubectl(["get", "namespace", "mlflow", "--ignore-not-found"])).toBe("");
    },
    10 * MINUTES,
  );
});

describe("the server's settings", () => {
  const settings = settingsOf(path.join(FOLDER, "base", "server.env"));
  let server: MlflowServer;

  /** Calls the server by another name than its address. */
  function call(pathname: string, headers: Record<string, string>, body?: unknown): Promise<number> {
    return new Promise((resolve, reject) => {
      const options = { method: body === undefined ? "GET" : "POST", headers };
      const sent = request(`${server.trackingUri}${pathname}`, options, response => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.once("error", reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  beforeAll(async () => {
    const key = await run("bash", ["-c", fernetKeyCommand()]);
    const exporter = { MLFLOW_EXPOSE_PROMETHEUS: "" }; // The testbed's Python has no exporter; the image has.
    const environment = { ...settings, ...exporter, MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY: key.stdout.trim() };
    server = await startMlflow({ python: inject("python"), environment });
  }, 5 * MINUTES);

  afterAll(async () => {
    await server.part.stop();
  });

  it("are those with which the testbed's MLflow delivers, in both spellings", () => {
    const proven = Object.entries(mlflowEnvironment()).filter(([name]) => name.includes("ALLOW"));

    expect(proven).toHaveLength(4);
    expect(settings).toMatchObject(Object.fromEntries(proven));
  });

  it.each(["mlflow.mlflow.svc:5000", "mlflow.mlflow.svc.cluster.local:5000", "mlflow.example.com", "10.1.2.3:5000"])(
    "let %s be called",
    async host => {
      expect(await call("/api/2.0/mlflow/experiments/search?max_results=1", { host })).toBe(200);
    },
  );

  it.each(["evil.example", "mlflow.mlflow.svc.evil.example:5000", "mlflow.example.com.evil.example"])(
    "refuse %s",
    async host => {
      expect(await call("/api/2.0/mlflow/experiments/search?max_results=1", { host })).toBe(403);
    },
  );

  it("let MLflow's own page change something, and no other", async () => {
    const create = (origin: string, name: string): Promise<number> => {
      const headers = { host: "mlflow.example.com", origin, "content-type": "application/json" };
      return call("/api/2.0/mlflow/registered-models/create", headers, { name });
    };
    expect(await create("https://mlflow.example.com", "from-the-page")).toBe(200);
    expect(await create("https://evil.example", "from-elsewhere")).toBe(403);
  });

  it("let a webhook with a secret be made that goes to a Service of the cluster, by the README's Fernet key", async () => {
    const webhook = {
      name: "in-cluster",
      url: "http://10.96.0.10/webhook",
      events: [{ entity: "MODEL_VERSION_TAG", action: "SET" }],
      secret: "a secret",
    };
    const headers = { host: "mlflow", "content-type": "application/json" };
    expect(await call("/api/2.0/mlflow/webhooks", headers, webhook)).toBe(200);
  });
});

/** The command of the README that makes the key for MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY. */
function fernetKeyCommand(): string {
  const commands = readmeCommands(path.join(FOLDER, "README.md")).join("\n");
  const found = /MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY="\$\((.*)\)"/.exec(commands);
  return found?.[1] ?? "false";
}

it("the scripts are Python that compiles", async () => {
  const scripts = filesBelow(EXAMPLES).filter(file => file.endsWith(".py"));
  const compile = "import ast, sys\nfor file in sys.argv[1:]: ast.parse(open(file).read(), file)";

  expect(scripts.length).toBeGreaterThan(5);
  await run(inject("python"), ["-c", compile, ...scripts]);
});

it("the Helm values set the server's environment as the manifests do", () => {
  const values = load(readFileSync(path.join(FOLDER, "helm-values.yaml"), "utf8")) as { extraEnvVars: object };
  const base = path.join(FOLDER, "base");
  const all = { ...settingsOf(path.join(base, "server.env")), ...settingsOf(path.join(base, "storage.env")) };

  // The chart has values of its own for these, and none for backups.
  const byChart =
    /^(MLFLOW_(SERVE_ARTIFACTS|EXPOSE_PROMETHEUS|WORKERS|ARTIFACTS_DESTINATION|DISABLE_TELEMETRY)$|BACKUP_)/;
  const expected = Object.fromEntries(Object.entries(all).filter(([name]) => !byChart.test(name)));
  expect(values.extraEnvVars).toEqual({ ...expected, HOME: "/tmp" });
});
