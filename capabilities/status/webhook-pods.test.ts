import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createCertificates } from "../../test/testbed/certificates";
import { selfSigned } from "../../test/support/unit/certificates";
import { fakeCluster } from "../../test/support/unit/fake-cluster";
import { json, neverAnswers, startFaultServer, text } from "../../test/support/unit/fault-server";
import { stateOfService } from "../../test/support/unit/objects";
import { recordingLog } from "../../test/support/unit/recording-log";
import { createMetrics } from "../observability/metrics";
import type { Metrics } from "../observability/metrics";
import { startHttpServer } from "../server/http-server";
import { createRoutes } from "../server/routes";
import { createTlsOptions } from "../server/tls";
import type { DeliveryReport } from "./delivery-history";
import { createWebhookPods } from "./webhook-pods";
import type { WebhookPodsOptions } from "./webhook-pods";

interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** A certificate and its key as files, until the end of the test. */
function mounted({ cert, key }: Pair): { certFile: string; keyFile: string } {
  const directory = mkdtempSync(path.join(tmpdir(), "mlflow-kserve-pods-"));
  onTestFinished(() => {
    rmSync(directory, { recursive: true });
  });
  const [certFile, keyFile] = [path.join(directory, "tls.crt"), path.join(directory, "tls.key")];
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key);
  return { certFile, keyFile };
}

/** The operations port of a pod, with the module's own paths. @returns its port */
async function startPod(
  { host = "127.0.0.1", port = 0, cause, tls }: { host?: string; port?: number; cause?: string; tls?: Pair },
  tell: (metrics: Metrics) => void,
): Promise<number> {
  const metrics = createMetrics();
  tell(metrics);
  const { log } = recordingLog();
  const routes = createRoutes({
    deliveries: undefined,
    health: () => Promise.resolve({ mlflowConnected: false, kubernetesConnected: true }),
    services: fakeCluster(),
    stateOf: stateOfService,
    status: () => ({ mode: "fallback", cause }),
    metrics,
  });
  const files = tls && createTlsOptions({ ...mounted(tls), log });
  const server = await startHttpServer({ ...{ host, port, log, tls: files }, routes: routes.operations });
  onTestFinished(() => server.close());
  return server.port;
}

const at = (...found: string[]): NonNullable<WebhookPodsOptions["addresses"]> => {
  return () => Promise.resolve(found.map(address => ({ address, family: address.includes(":") ? 6 : 4 })));
};

const ask = (url: string, options: Partial<WebhookPodsOptions> = {}): Promise<DeliveryReport[]> =>
  createWebhookPods({ url, certFile: undefined, ...options })();

const problemOf = async (...asked: Parameters<typeof ask>): Promise<string> => {
  const [report, ...others] = await ask(...asked);
  expect(others).toEqual([]);
  return report?.problem ?? "there is none";
};

describe("the pods that take deliveries", () => {
  it("are asked each by itself, and one that does not answer is said to be so", async () => {
    const port = await startPod({}, metrics => {
      metrics.setMode("webhook");
      metrics.deliveryAnswered("success");
    });
    await startPod({ host: "127.0.0.2", port, cause: "MLflow's test deliveries do not arrive" }, metrics => {
      metrics.setMode("fallback");
    });
    const addresses = at("127.0.0.1", "127.0.0.2", "127.0.0.3", "::1");
    const [first, second, third, ...others] = await ask(`http://pods.example:${port}`, { addresses });
    expect(first).toMatchObject({ name: "127.0.0.1", mode: "webhook", cause: undefined });
    expect(first?.problem === undefined && first?.counts.results.get("success")).toBe(1);
    expect(second).toMatchObject({
      name: "127.0.0.2",
      mode: "fallback",
      cause: "MLflow's test deliveries do not arrive",
    });
    expect(third).toEqual({
      name: "127.0.0.3",
      problem: expect.stringMatching(/ECONNREFUSED 127\.0\.0\.3.*; see that it runs/) as string,
    });
    // The other family has the same pods.
    expect(others).toEqual([]);
  });

  it("are asked over HTTPS by the name of the Service, and trusted by the certificate that all of them have", async () => {
    const { server } = await createCertificates();
    const pair = { cert: server.certificate, key: server.privateKey };
    const port = await startPod({ tls: pair }, metrics => {
      metrics.setMode("polling");
    });
    const [addresses, { certFile }] = [at("127.0.0.1"), mounted(pair)];
    expect(await ask(`https://localhost:${port}`, { addresses, certFile })).toMatchObject([{ mode: "polling" }]);
    expect(await problemOf(`https://pods.example:${port}`, { addresses, certFile })).toMatch(
      /must be for the name pods\.example as well$/,
    );
    const { certFile: another } = mounted(selfSigned("another"));
    for (const trusted of [another, undefined])
      expect(await problemOf(`https://localhost:${port}`, { addresses, certFile: trusted })).toMatch(
        /the pods must serve the certificate of MLFLOW_KSERVE_TLS_CERT_FILE/,
      );
    expect(await problemOf(`https://localhost:${port}`, { addresses, certFile: "/nowhere" })).toMatch(/it is mounted$/);
    const plain = await startPod({}, () => undefined);
    for (const url of [`http://localhost:${port}`, `https://localhost:${plain}`])
      expect(await problemOf(url, { addresses })).toMatch(/must begin with https:\/\//);
  });

  // What answers is no mlflow-kserve, or never does.
  it.each([
    ["something else", text(200, "text/html", "<html>"), 5_000, /answered 200, and not by an mlflow-kserve; see/],
    ["nothing at all", neverAnswers, 50, /no complete answer within 50 ms; see/],
    ["without an end", text(200, "text/plain", "x".repeat(2_000_000)), 5_000, /larger than 1048576 bytes; see/],
  ])("that answer %s are a problem", async (_, answer, deadline, problem) => {
    const { url } = await startFaultServer(answer);
    expect(await problemOf(url, { deadline })).toMatch(problem);
  });

  it("that do not say the cause are heard without", async () => {
    const { url } = await startFaultServer((request, response) => {
      const answer =
        request.url === "/metrics" ? text(200, "text/plain", 'listener_mode{mode="fallback"} 1') : json(200, [1]);
      answer(request, response);
    });
    expect(await ask(url)).toMatchObject([{ mode: "fallback", cause: undefined }]);
  });

  it("that nobody finds are a problem", async () => {
    // Which of the two depends on the machine's resolver.
    expect(await problemOf("http://pods.invalid:8081")).toMatch(/(ENOTFOUND|EAI_AGAIN) pods\.invalid; /);
    const deadline = 50;
    const addresses = (): Promise<never> => new Promise(() => undefined);
    expect(await problemOf("http://pods.example", { addresses, deadline })).toMatch(/were not found within 50 ms; see/);
  });
});
