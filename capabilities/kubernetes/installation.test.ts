import { describe, expect, it } from "vitest";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedLine } from "../../test/support/unit/recording-log";
import { KubernetesError } from "./api-server";
import type { ApiServer, ApiServerRequest } from "./api-server";
import { completeInstallation } from "./installation";

const SERVICE = "/api/v1/namespaces/pepr-system/services/mlflow-kserve-webhook-listener";
const NAMESPACE = "/api/v1/namespaces/models";
const OURS = { "managed-by": "mlflow-kserve-webhook-listener" };

type Answer = (request: ApiServerRequest) => object | number;

/** Completes an installation against an API server that answers by path: an object, or an HTTP status that refuses. */
async function complete(
  answers: Readonly<Record<string, Answer>>,
): Promise<{ lines: readonly RecordedLine[]; applied: ApiServerRequest[] }> {
  const applied: ApiServerRequest[] = [];
  const apiServer: ApiServer = request => {
    const answer = answers[request.path]?.(request) ?? 404;
    if (typeof answer === "number")
      return Promise.reject(new KubernetesError(answer, "Reason", `${request.path} was answered ${answer}`));
    if (request.method === "PATCH") applied.push(request);
    return Promise.resolve({ status: 200, body: answer });
  };
  const { log, lines } = recordingLog();
  await completeInstallation({
    apiServer,
    log,
    namespace: "pepr-system",
    targetNamespace: "models",
    endpoint: { port: 8000, isHttps: false },
  });
  return { lines, applied };
}

const missing: Answer = ({ method }) => (method === "GET" ? 404 : { metadata: { resourceVersion: "1" } });
const existing =
  (labels: Record<string, string>, versionAfter = "1"): Answer =>
  ({ method }) => ({ metadata: { labels, resourceVersion: method === "GET" ? "1" : versionAfter } });

describe("completeInstallation", () => {
  it("makes what is missing, and does not take over what somebody else makes at the same moment", async () => {
    const { lines, applied } = await complete({ [SERVICE]: missing, [NAMESPACE]: missing });

    expect(applied.map(({ path, query }) => [path, query?.force]).sort()).toEqual([
      [NAMESPACE, "false"],
      [SERVICE, "false"],
    ]);
    expect(lines.map(({ level, fields, message }) => [level, fields.object, message]).sort()).toEqual([
      ["info", "Namespace models", "Made, it was missing"],
      ["info", "Service pepr-system/mlflow-kserve-webhook-listener", "Made, it was missing"],
    ]);
  });

  it("brings up to date what it made before, and says nothing when nothing changed", async () => {
    const { lines, applied } = await complete({ [SERVICE]: existing(OURS, "2"), [NAMESPACE]: existing(OURS) });

    expect(applied.map(({ query }) => query?.force)).toEqual(["true", "true"]);
    expect(lines.map(({ fields, message }) => [fields.object, message])).toEqual([
      ["Service pepr-system/mlflow-kserve-webhook-listener", "Brought up to date"],
    ]);
  });

  it("leaves what others made", async () => {
    const theirs = existing({ "managed-by": "somebody else" });
    const { lines, applied } = await complete({ [SERVICE]: theirs, [NAMESPACE]: existing({}) });

    expect(applied).toEqual([]);
    expect(lines.map(({ level }) => level)).toEqual(["debug", "debug"]);
  });

  it.each([
    { what: "read it", answer: () => 403 },
    { what: "make it", answer: (({ method }) => (method === "GET" ? 404 : 403)) satisfies Answer },
    { what: "reach the API server", answer: () => 0 },
  ])("warns with cause and cure when it cannot $what, and does the rest", async ({ answer }) => {
    const { lines, applied } = await complete({ [SERVICE]: missing, [NAMESPACE]: answer });

    expect(applied.map(({ path }) => path)).toEqual([SERVICE]);
    expect(lines.find(({ level }) => level === "warn")).toMatchObject({
      fields: { cause: expect.stringContaining("was answered") as unknown, cure: "kubectl create namespace models" },
    });
  });
});
