import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { proxyFor } from "../../capabilities/configuration/mlflow-proxy";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { PROXY_PASSWORD, startForwardProxy } from "../support/forward-proxy";
import type { ForwardProxy } from "../support/forward-proxy";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { waitFor } from "../support/waiting";
import { startMlflow } from "../testbed";
import { createCertificates } from "../testbed/certificates";
import type { Certificates } from "../testbed/certificates";
import { run } from "../testbed/commands";

/** What Python's requests, which MLflow's client calls with, takes for the proxy of an address. */
const ASK_REQUESTS = `
import json, os, sys
from requests.utils import get_environ_proxies, select_proxy, prepend_scheme_if_needed
answers = []
for url, variables in json.load(sys.stdin):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]: del os.environ[name]
    os.environ.update(variables)
    proxy = select_proxy(url, get_environ_proxies(url))
    answers.append(proxy and prepend_scheme_if_needed(proxy, "http"))
json.dump(answers, sys.stdout)
`;

const HOSTS = [
  "mlflow.example.com",
  "mlflow",
  "example.com",
  "notexample.com",
  "10.1.2.3",
  "10.1.2.3:5000",
  "[::1]:5000",
];
const EXCEPTIONS = [
  ...["", "*", "*,x", "example.com", ".example.com", "mlflow.example.com:80", "mlflow:5000", "MLFLOW", "com"],
  ...["10.0.0.0/8", "10.1.2.3", "10.1.2.0/24,x", "10.0.0.0/0", "10.1.2.3/33", "2.3", "10.1.2.3:5000", "::1", "[::1]"],
  ...["localhost, 10.1.2.2/31 ,svc", "example.com.", "*.example.com", ",,"],
];
const NAMED: readonly Readonly<Record<string, string>>[] = [
  { HTTP_PROXY: "http://a:1", HTTPS_PROXY: "http://b:2" },
  { HTTP_PROXY: "http://a:1", http_proxy: "http://c:3" },
  { ALL_PROXY: "http://d:4" },
  { all_proxy: "10.9.9.9:5", HTTPS_PROXY: "http://user:p%40ss@b:2" },
];

it("finds the proxy that MLflow's own client would take", async () => {
  const cases = NAMED.flatMap(named =>
    EXCEPTIONS.flatMap(exceptions =>
      HOSTS.flatMap(host =>
        ["http", "https"].flatMap(scheme =>
          ["NO_PROXY", "no_proxy"].map(name => {
            return [
              `${scheme}://${host}/api`,
              { ...named, ...(exceptions === "" ? {} : { [name]: exceptions }) },
            ] as const;
          }),
        ),
      ),
    ),
  );
  const { stdout } = await run(inject("python"), ["-c", ASK_REQUESTS], { input: JSON.stringify(cases) });
  const expected = JSON.parse(stdout) as (string | null)[];
  const differences = cases.flatMap(([url, variables], at) => {
    const ours = proxyFor(new URL(url), variables)?.url.replace(/\/$/, "") ?? null;
    return ours === expected[at] ? [] : [{ url, variables, ours, requests: expected[at] }];
  });
  expect(differences).toEqual([]);
  expect(new Set(expected).size).toBeGreaterThan(4);
});

describe("with a proxy that wants a user and password", () => {
  let certificates: Certificates;
  let directory: string;
  beforeAll(async () => {
    certificates = await createCertificates();
    directory = mkdtempSync(path.join(tmpdir(), "mlflow-kserve-proxies-"));
    const { authority, administrator } = certificates;
    writeFileSync(path.join(directory, "authority.crt"), authority.certificate);
    writeFileSync(path.join(directory, "client.pem"), administrator.certificate + administrator.privateKey);
    return () => {
      rmSync(directory, { recursive: true });
    };
  });

  /** The variables for an MLflow that takes only clients with a certificate of the authority. */
  const secured = (): Record<string, string> => ({
    MLFLOW_TRACKING_SERVER_CERT_PATH: path.join(directory, "authority.crt"),
    MLFLOW_TRACKING_CLIENT_CERT_PATH: path.join(directory, "client.pem"),
  });

  async function startProxy(isSecure = false): Promise<ForwardProxy> {
    const proxy = await startForwardProxy(isSecure ? certificates.server : undefined);
    onTestFinished(proxy.stop);
    return proxy;
  }

  /** An MLflow over TLS, and in it a version with the tag. */
  async function startSecureMlflow(): Promise<{ trackingUri: string; key: ModelVersionKey }> {
    const { python, logDirectory } = { python: inject("python"), logDirectory: inject("logDirectory") };
    const { trackingUri, part } = await startMlflow({ python, logDirectory, certificates, workers: 1 });
    onTestFinished(() => part.stop());
    const { authority, administrator } = certificates;
    const tls = {
      certificates: authority.certificate,
      clientCertificate: administrator.certificate + administrator.privateKey,
    };
    const registry = openRegistry(trackingUri, { tls });
    const key = await registry.register(uniqueModel("secured"));
    await registry.setTag(key, "deploy", "true");
    return { trackingUri, key };
  }

  it.each([["http"], ["https"]])("reads MLflow over plain HTTP through it, spoken with over %s", async scheme => {
    const proxy = await startProxy(scheme === "https");
    const registry = openRegistry(inject("mlflowTrackingUri"));
    const tag = uniqueModel("deploy");
    const key = await registry.register(uniqueModel("forwarded"));
    const { deliver, deployed, listener, logged } = await startListener({
      settings: { DEPLOY_TAG_KEY: tag },
      mlflowVariables: {
        HTTP_PROXY: proxy.url,
        MLFLOW_TRACKING_SERVER_CERT_PATH: path.join(directory, "authority.crt"),
      },
    });
    await registry.setTag(key, tag, "true");
    expect(await deliver(key)).toMatchObject({ status: 200 });
    expect(await deployed()).toHaveLength(1);
    expect(await listener.poll()).toMatchObject({ tagged: 1, managed: 1 });
    await registry.deleteTag(key, tag);
    expect(await deliver(key, "deleted")).toMatchObject({ status: 200 });
    expect(await deployed()).toEqual([]);
    // It logs a request when its connection is closed.
    const reads = (): string[] => proxy.requests().filter(line => line.includes("/api/2.0/mlflow/model-versions/"));
    await waitFor("the proxy's log of three reads", () => reads().length >= 3 || undefined);
    expect(proxy.requests().join()).not.toContain("CONNECT");
    expect(JSON.stringify(logged)).not.toContain("secret");
  });

  it.each([["http"], ["https"]])(
    "reads MLflow over TLS, with our certificate, through its tunnel, spoken with over %s",
    async scheme => {
      const proxy = await startProxy(scheme === "https");
      const { trackingUri, key } = await startSecureMlflow();
      const { deliver, deployed } = await startListener({
        mlflowTrackingUri: trackingUri,
        mlflowVariables: { ...secured(), HTTPS_PROXY: proxy.url },
      });
      expect(await deliver(key)).toMatchObject({ status: 200 });
      expect(await deployed()).toHaveLength(1);
      // There is no other way.
      await proxy.stop();
      const { status, body } = await deliver(key);
      expect([status, JSON.stringify(body)]).toEqual([502, expect.stringContaining("through the proxy")]);
    },
  );

  it("calls MLflow itself where NO_PROXY names it", async () => {
    const { trackingUri, key } = await startSecureMlflow();
    const { deliver } = await startListener({
      mlflowTrackingUri: trackingUri,
      // Nobody listens there.
      mlflowVariables: { ...secured(), HTTPS_PROXY: "http://127.0.0.1:9", NO_PROXY: "127.0.0.0/8" },
    });
    expect(await deliver(key)).toMatchObject({ status: 200 });
  });

  it("says what the proxy refuses, and shows no password", async () => {
    const proxy = await startProxy();
    const wrong = new URL(proxy.url);
    wrong.password = "geheim";
    const shown = `http://127.0.0.1:${wrong.port}`;
    const told = async (mlflowTrackingUri: string, variables: Readonly<Record<string, string>>): Promise<string> => {
      const { listener, logged } = await startListener({ mlflowTrackingUri, mlflowVariables: variables });
      expect(await listener.poll()).toBeUndefined();
      const text = JSON.stringify(logged);
      for (const secret of ["geheim", PROXY_PASSWORD, Buffer.from("user:geheim").toString("base64")]) {
        expect(text).not.toContain(secret);
      }
      return text;
    };
    expect(await told(inject("mlflowTrackingUri"), { HTTP_PROXY: wrong.href })).toContain(
      `407 by the proxy ${shown} (HTTP_PROXY), which wants a user and password`,
    );
    const tunnel = await told("https://127.0.0.1:9", { all_proxy: wrong.href });
    expect(tunnel).toContain(
      `MLflow cannot be reached through the proxy ${shown} (all_proxy): GET https://127.0.0.1:9/`,
    );
    expect(tunnel).toMatch(
      /the proxy answered CONNECT with 407: it wants a user and password in its URL; check that the proxy runs, takes us and lets us reach 127/,
    );
    const gone = await told(inject("mlflowTrackingUri"), { HTTP_PROXY: "http://user:geheim@127.0.0.1:9" });
    expect(gone).toMatch(
      /through the proxy http:..127.0.0.1:9 \(HTTP_PROXY\): .*ECONNREFUSED 127.0.0.1:9; check that the/,
    );
  });
});
