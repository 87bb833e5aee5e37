import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import type { ApiServer } from "../../capabilities/kubernetes/api-server";
import { compileTemplate } from "../../capabilities/template/rendering";
import { createListener } from "../../capabilities/module";
import { parseSettings } from "../../capabilities/configuration/settings";
import type { Log } from "../../capabilities/observability/logging";
import { kubeConfigFrom } from "../support/kube-config";
import { openRegistry } from "../support/mlflow-registry";
import type { ReceivedAnswer } from "../support/openapi";
import { signedHeaders } from "./plain-request";
import type { PlainRequest } from "./plain-request";

export const SECRET = "a secret that only MLflow and the module know";

/** Versions in MLflow that are not to be served, each by its tags; an event about one must not change that. */
const UNTAGGED: readonly Readonly<Record<string, string>>[] = [
  {},
  { deploy: "false" },
  { deploy: "true " },
  { deploy: "１" },
  { Deploy: "true", "deploy ": "true", "deploy.true": "true" },
];

/** The module as it is served, watched while anything is sent to it. */
export interface FuzzedEndpoint {
  readonly port: number;
  readonly namespace: string;
  /** Registered models of which no version is tagged. */
  readonly models: readonly string[];
  readonly send: (request: PlainRequest) => Promise<ReceivedAnswer>;
  /** How often each status was answered, as far as the caller counts them. */
  readonly statuses: Map<number, number>;
  /**
   * @throws Error when, since the last call, the module wrote to the API server, logged that something failed
   *   unexpectedly, left a promise unhandled, or something changed Object.prototype
   */
  checkUnharmed: () => void;
  /**
   * Tags a new version, delivers that, takes the tag away and delivers that.
   *
   * @throws Error unless the version was served, then not any more, and nothing else is in the namespace
   */
  checkStillWorking: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Starts the module without Pepr between these systems. @param namespace an empty one */
export async function startFuzzedEndpoint(options: {
  readonly kubeconfig: string;
  readonly mlflowTrackingUri: string;
  readonly namespace: string;
}): Promise<FuzzedEndpoint> {
  const { mlflowTrackingUri, namespace } = options;
  const harm: string[] = [];
  const apiServer = connectToApiServer(15_000, kubeConfigFrom(options.kubeconfig));
  let mayWrite = false;
  const watched: ApiServer = request => {
    if (request.method !== "GET" && !mayWrite)
      harm.push(`${request.method} ${request.path} was sent to the API server`);
    return apiServer(request);
  };
  const unhandled = (reason: unknown): void => {
    harm.push(`a promise was left unhandled: ${String(reason)}`);
  };
  process.on("unhandledRejection", unhandled);
  const template = readFileSync(path.join(__dirname, "../../templates/inference-service.yaml.txt"), "utf8");
  const listener = createListener({
    settings: parseSettings({
      MLFLOW_KSERVE_MLFLOW_TRACKING_URI: mlflowTrackingUri,
      MLFLOW_KSERVE_MLFLOW_WEBHOOK_SECRET: SECRET,
      MLFLOW_KSERVE_APP_HOST: "127.0.0.1",
      MLFLOW_KSERVE_APP_PORT: "0",
      MLFLOW_KSERVE_KUBE_NAMESPACE: namespace,
    }),
    template: compileTemplate(template, "built-in template"),
    mlflowAccess: { tls: {} },
    apiServer: watched,
    log: watchfulLog(harm),
  });
  const { port } = await listener.serve(true);

  const registry = openRegistry(mlflowTrackingUri);
  const models: string[] = [];
  for (const tags of UNTAGGED) {
    models.push((await registry.register(`fuzz-${randomUUID().slice(0, 8)}`, "s3://models/fuzz", tags)).model);
  }
  const served = `fuzz-served-${randomUUID().slice(0, 8)}`;
  const prototype = fingerprint();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
  const send: FuzzedEndpoint["send"] = request => sendPlain(port, agent, request);
  const deliver = async (version: string, action: string): Promise<string> => {
    const data = { name: served, version, key: "deploy", value: "true" };
    const event = { entity: "model_version_tag", action, timestamp: new Date().toISOString(), data };
    const body = Buffer.from(JSON.stringify(event));
    const headers = signedHeaders(SECRET, body, randomUUID(), String(Math.floor(Date.now() / 1000)));
    const { status, text } = await send({ method: "POST", target: "/webhook", headers, body });
    return `${status} ${(JSON.parse(text) as { action?: string }).action ?? text}`;
  };
  const live = async (): Promise<string[]> => {
    const collection = `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices`;
    const { body } = await apiServer({ method: "GET", path: collection });
    const { items } = body as { items: { metadata: { name: string; deletionTimestamp?: string } }[] };
    return items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata }) => metadata.name);
  };
  const expectEqual = (what: string, is: unknown, shouldBe: unknown): void => {
    if (JSON.stringify(is) === JSON.stringify(shouldBe)) return;
    throw new Error(`${what}: ${JSON.stringify(is)} instead of ${JSON.stringify(shouldBe)}`);
  };

  const endpoint: FuzzedEndpoint = {
    port,
    namespace,
    models,
    send,
    statuses: new Map(),
    checkUnharmed() {
      const after = fingerprint();
      if (after !== prototype) harm.push(`the prototype of all objects was changed: ${after}`);
      const found = harm.splice(0);
      if (found.length > 0) throw new Error(found.join("\n"));
    },
    async checkStillWorking() {
      await listener.idle();
      endpoint.checkUnharmed();
      expectEqual("InferenceServices after hostile input", await live(), []);
      mayWrite = true;
      const key = await registry.register(served, "s3://models/fuzz", { deploy: "true" });
      expectEqual("a valid delivery", await deliver(key.version, "set"), "200 created");
      expectEqual("InferenceServices of a tagged version", await live(), [`mlflow-${served}-v${key.version}`]);
      await registry.deleteTag(key, "deploy");
      expectEqual("a valid delivery of a removed tag", (await deliver(key.version, "deleted")).slice(0, 3), "200");
      await listener.idle();
      expectEqual("InferenceServices after the tag was removed", await live(), []);
      mayWrite = false;
      endpoint.checkUnharmed();
    },
    async stop() {
      agent.destroy();
      await listener.stop();
      process.off("unhandledRejection", unhandled);
    },
  };
  return endpoint;
}

/** A failed delivery has its status, which is looked at; what it was about is told of as well. */
const EXPECTED: readonly unknown[] = [
  "Delivery failed",
  "Model version cannot be served until somebody changes something",
];

/** Lines that say that the code met what nobody thought of. */
function watchfulLog(harm: string[]): Log {
  const nothing = (): void => undefined;
  const error = (fields: unknown, message?: unknown): void => {
    if (!EXPECTED.includes(message)) harm.push(`logged: ${String(message)} ${JSON.stringify(fields)}`);
  };
  return { debug: nothing, info: nothing, warn: nothing, error };
}

/** Changes when somebody gives all objects, lists or functions something. */
function fingerprint(): string {
  return [Object.prototype, Array.prototype, Function.prototype, String.prototype]
    .map(prototype => Reflect.ownKeys(prototype).map(String).join())
    .join(";");
}

function sendPlain(port: number, agent: http.Agent, sent: PlainRequest): Promise<ReceivedAnswer> {
  return new Promise((resolve, reject) => {
    const { method, target, body } = sent;
    const headers = { ...sent.headers, ...(body.length > 0 ? { "content-length": String(body.length) } : {}) };
    const options = { host: "127.0.0.1", port, agent, method, path: target, headers };
    const request = http.request(options, response => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        resolve({ status: response.statusCode ?? 0, headers: response.headers as Record<string, string>, text });
      });
    });
    // The server may have closed a kept connection in the moment in which we took it.
    request.on("error", (error: NodeJS.ErrnoException) => {
      if (request.reusedSocket && error.code === "ECONNRESET") sendPlain(port, agent, sent).then(resolve, reject);
      else reject(error);
    });
    request.end(body);
  });
}
