import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, inject, it } from "vitest";
import { startListener, uniqueModel } from "../support/listener-fixture";
import type { RunningListener } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { waitFor } from "../support/waiting";
import { createCertificates } from "../testbed/certificates";
import type { Certificates } from "../testbed/certificates";
import { mlflowEnvironment } from "../testbed/mlflow";
import {
  BROKEN,
  FALLBACK,
  PROVEN,
  cleanUp,
  endpoint,
  expectNoSecret,
  keep,
  listed,
  messages,
  processesStarted,
  startMlflowForTest,
  transportTo,
} from "../support/webhook-modes";

describe("with an MLflow that refuses", () => {
  const https = { MLFLOW_WEBHOOK_ALLOWED_SCHEMES: "https", MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS: "false" };
  const http = { ...https, MLFLOW_WEBHOOK_ALLOWED_SCHEMES: "http,https" };

  it.each([
    ["http, as it does by default", https, /refuses http URLs: set MLFLOW_WEBHOOK_ALLOWED_SCHEMES=http,https/],
    ["private addresses", http, /refuses 127\.0\.0\.1 .*set MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true/],
  ])("%s, falls back to polling and says what to change", async (_, environment, expected) => {
    const { trackingUri } = await startMlflowForTest({ environment });
    const kept = keep({ transport: transportTo(trackingUri), url: await endpoint() });

    const { cause } = await kept.reaches("fallback");

    expect(cause).toMatch(expected);
    expect(messages(kept.lines)).toEqual([
      "warn Webhook is not proven, trying again",
      `warn ${FALLBACK}`,
      "info Polling service started as fallback",
    ]);
    expect(kept.lines.find(({ message }) => message === FALLBACK)?.fields.cause).toBe(cause);
    expect(kept.states.at(-1)).toMatchObject({ mode: "fallback", cause });
    expectNoSecret(kept);
  });
});

describe("with an MLflow in its default scheme policy, https only", () => {
  it("proves an https endpoint whose CA MLflow trusts, and names the cause where it does not", async () => {
    const directory = await mkdtemp(join(tmpdir(), "modes-"));
    cleanUp.push(() => rm(directory, { recursive: true }));
    const [trusted, strange] = await Promise.all([createCertificates(), createCertificates()]);
    const bundle = join(directory, "ca.pem");
    await writeFile(bundle, trusted.authority.certificate);
    // MLflow's delivery session looks at certifi's bundle and at no variable; Python imports this file at its start.
    await writeFile(
      join(directory, "sitecustomize.py"),
      `import certifi\ncertifi.where = lambda: ${JSON.stringify(bundle)}\n`,
    );
    const environment = { MLFLOW_WEBHOOK_ALLOWED_SCHEMES: "https", PYTHONPATH: directory };
    const { trackingUri } = await startMlflowForTest({ environment });
    const transport = transportTo(trackingUri);

    const strangeUrl = `${(await startSecureListener(strange, directory)).url}/webhook`;
    const distrusted = keep({ transport, url: strangeUrl });
    await distrusted.reaches("fallback", /does not trust.*certifi/);
    await distrusted.keeper.stop();

    const { url, deployed } = await startSecureListener(trusted, directory, trackingUri);
    await keep({ transport, url: `${url}/webhook` }).reaches("webhook");
    const registry = openRegistry(trackingUri);
    const key = await registry.register(uniqueModel("secure"), "s3://models/x");
    await registry.setTag(key, "deploy", "true");
    await waitFor("the service", async () => ((await deployed()).length === 1 ? true : undefined));
  });

  /** The real endpoint, serving HTTPS from files. */
  async function startSecureListener(
    { server }: Certificates,
    directory: string,
    mlflowTrackingUri = inject("mlflowTrackingUri"),
  ): Promise<RunningListener> {
    const place = await mkdtemp(join(directory, "tls-"));
    const [certFile, keyFile] = [join(place, "tls.crt"), join(place, "tls.key")];
    await writeFile(certFile, server.certificate);
    await writeFile(keyFile, server.privateKey);
    const settings = { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile };
    return await startListener({ mlflowTrackingUri, settings });
  }
});

describe("without an encryption key", () => {
  it("names the cause, and leaves nothing in MLflow that its processes cannot read", async () => {
    const environment = { MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY: "", _MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY: "" };
    const mlflow = await startMlflowForTest({ environment, workers: 4 });
    await processesStarted(mlflow, 4);
    const transport = transportTo(mlflow.trackingUri);
    const url = await endpoint();
    const kept = keep({ transport, url });

    const { cause } = await kept.reaches("fallback", /decrypt each other's/);
    expect(cause).toMatch(/set MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY on the MLflow server to one Fernet key/);

    // Between two attempts: each one makes a webhook and removes it.
    await waitFor("the end of another attempt", () =>
      kept.lines.at(-1)?.message === "Webhook is still not proven" ? true : undefined,
    );
    await kept.keeper.stop();
    const registrations = messages(kept.lines).filter(message => message.endsWith("registered in MLflow"));
    expect(registrations.length).toBeGreaterThan(0);
    for (let process = 0; process < 20; process++) expect(await listed(transport)).toEqual([]);
    expect(kept.states.map(({ mode }) => mode)).not.toContain("webhook");
    expectNoSecret(kept);
  });
});

describe("after a change of the encryption key", () => {
  it("names the cause, and recovers with the former key or the database mended as it says", async () => {
    const directory = await mkdtemp(join(tmpdir(), "modes-"));
    cleanUp.push(() => rm(directory, { recursive: true }));
    const database = join(directory, "mlflow.db");
    // The key that MLflow had, and the one that it has after a restart.
    const former = await startMlflowForTest({ database, environment: mlflowEnvironment() });
    const changed = await startMlflowForTest({ database, environment: mlflowEnvironment() });
    let transport = transportTo(former.trackingUri);
    const kept = keep({ transport: call => transport(call), url: await endpoint() });
    await kept.reaches("webhook");

    transport = transportTo(changed.trackingUri);
    const { cause = "" } = await kept.reaches("fallback", /cannot decrypt/);
    expect(cause).toMatch(/MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY was changed.*former key/);
    expect(kept.lines.map(({ message }) => message)).toContain(BROKEN);

    transport = transportTo(former.trackingUri);
    await kept.reaches("webhook");

    transport = transportTo(changed.trackingUri);
    await kept.reaches("fallback", /cannot decrypt/);
    const [, statement = "no statement"] = /\((UPDATE [^)]*)\)/.exec(cause) ?? [];
    const script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()";
    await promisify(execFile)(inject("python"), ["-c", script, database, statement]);
    await kept.reaches("webhook");
  });
});

describe("with an MLflow that starts after us", () => {
  it("falls back, says so, and recovers; and again after a restart of MLflow", async () => {
    const { trackingUri, part } = await startMlflowForTest();
    part.kill();
    const kept = keep({ transport: transportTo(trackingUri), url: await endpoint() });
    const { cause } = await kept.reaches("fallback");
    expect(cause).toMatch(/MLflow cannot be reached: .*check that it runs/);
    expect(messages(kept.lines)).toContain(`warn ${FALLBACK}`);

    await part.start();
    await kept.reaches("webhook");
    expect(kept.lines.at(-1)).toMatchObject({ level: "info", message: PROVEN, fields: { recovered: true } });

    part.kill();
    await kept.reaches("fallback", /cannot be reached/);
    await part.start();
    await kept.reaches("webhook");
  });
});
