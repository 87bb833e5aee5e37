import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { createMlflowTransport } from "../../capabilities/mlflow/transport";
import type { MlflowTransport } from "../../capabilities/mlflow/transport";
import { createWebhookKeeper } from "../../capabilities/mlflow/webhook-keeper";
import type { WebhookKeeper, WebhookKeeperOptions, WebhookState } from "../../capabilities/mlflow/webhook-keeper";
import { webhooksOf } from "../../capabilities/mlflow/webhook-registration";
import type { RegisteredWebhook } from "../../capabilities/mlflow/webhook-registration";
import { SECRET, startListener, uniqueModel } from "../support/listener-fixture";
import type { RunningListener } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { recordingLog } from "../support/unit/recording-log";
import type { RecordedLine } from "../support/unit/recording-log";
import { waitFor } from "../support/waiting";
import { startMlflow } from "../testbed";
import type { MlflowOptions, MlflowServer } from "../testbed";
import { createCertificates } from "../testbed/certificates";
import type { Certificates } from "../testbed/certificates";
import { mlflowEnvironment } from "../testbed/mlflow";

const NAME = "mlflow-kserve";
const FALLBACK = "Webhook registration failed - falling back to polling mode";
const BROKEN = "Webhook does not work any more - falling back to polling mode";
const PROVEN = "Webhook registered and proven";

interface Kept {
  readonly keeper: WebhookKeeper;
  readonly lines: readonly RecordedLine[];
  readonly states: readonly WebhookState[];
  /** Waits until it is in this mode; for a fallback, until its cause matches. */
  readonly reaches: (mode: WebhookState["mode"], cause?: RegExp) => Promise<WebhookState>;
}

const cleanUp: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

function transportTo(trackingUri: string): MlflowTransport {
  return createMlflowTransport({ trackingUri, authorization: undefined, deadline: 20_000 });
}

/** A server whose deliveries are tried once, so that a test need not wait for MLflow's own retries. */
async function startOwnMlflow(options: MlflowOptions = {}): Promise<MlflowServer> {
  return await startMlflow({
    python: inject("python"),
    logDirectory: inject("logDirectory"),
    workers: 1,
    ...options,
    environment: { MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES: "0", ...options.environment },
  });
}

/** As startOwnMlflow, until the end of the test. */
async function startMlflowForTest(options?: MlflowOptions): Promise<MlflowServer> {
  const server = await startOwnMlflow(options);
  cleanUp.push(() => server.part.stop());
  return server;
}

/** Starts a keeper that checks every half second, until the end of the test. */
function keep(options: Pick<WebhookKeeperOptions, "transport" | "url"> & Partial<WebhookKeeperOptions>): Kept {
  const { log, lines } = recordingLog();
  const states: WebhookState[] = [];
  const keeper = createWebhookKeeper({
    name: NAME,
    secret: () => SECRET,
    startupTimeout: 0.5,
    startupRetries: 2,
    checkInterval: 0.5,
    log,
    onState: state => states.push(state),
    ...options,
  });
  cleanUp.push(() => keeper.stop());
  const reaches: Kept["reaches"] = async (mode, cause = /.*/) =>
    await waitFor(`the mode ${mode} with ${String(cause)}, now ${JSON.stringify(keeper.state())}`, () => {
      const state = keeper.state();
      return state.mode === mode && cause.test(state.cause ?? "") ? state : undefined;
    });
  return { keeper, lines, states, reaches };
}

async function endpoint(): Promise<string> {
  return `${(await startListener()).url}/webhook`;
}

function messages(lines: readonly RecordedLine[]): string[] {
  return lines.filter(({ level }) => level !== "debug").map(({ level, message }) => `${level} ${message}`);
}

async function listed(transport: MlflowTransport, url: string): Promise<RegisteredWebhook[]> {
  return await webhooksOf(transport, { name: NAME, url });
}

function expectNoSecret({ lines, states }: Kept): void {
  expect(JSON.stringify([lines, states])).not.toContain(SECRET);
}

describe("with an MLflow that delivers", () => {
  let mlflow: MlflowServer;
  let transport: MlflowTransport;

  beforeAll(async () => {
    // As many server processes as MLflow has by default.
    mlflow = await startMlflow({
      python: inject("python"),
      logDirectory: inject("logDirectory"),
      environment: { MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES: "0" },
    });
    transport = transportTo(mlflow.trackingUri);
  });

  afterAll(async () => {
    await mlflow.part.stop();
  });

  afterEach(async () => {
    for (const { webhook_id: id } of await listed(transport, "")) {
      await transport({ method: "DELETE", path: `webhooks/${id}` });
    }
  });

  it("registers one webhook with our events, and proves it", async () => {
    const url = await endpoint();
    const kept = keep({ transport, url });

    expect((await kept.reaches("webhook")).provenAt).toBeInstanceOf(Date);

    const [webhook, ...others] = await listed(transport, url);
    expect(others).toEqual([]);
    expect(webhook).toMatchObject({ name: NAME, url, status: "ACTIVE" });
    expect(webhook?.events.map(({ entity, action }) => `${entity}.${action}`).sort()).toEqual([
      "MODEL_VERSION_TAG.DELETED",
      "MODEL_VERSION_TAG.SET",
    ]);
    expect(messages(kept.lines)).toEqual(["info Webhook registered in MLflow", `info ${PROVEN}`]);
    expect(kept.lines[0]?.fields).toEqual({ webhook: NAME, url, action: "created" });
    expect(kept.lines[1]?.fields).toMatchObject({ recovered: false });
    expectNoSecret(kept);
  });

  it("ends up with one webhook when three replicas start at once", async () => {
    const url = await endpoint();
    const all = [1, 2, 3].map(() => keep({ transport, url }));

    await Promise.all(all.map(kept => kept.reaches("webhook")));
    await waitFor("a single webhook", async () => ((await listed(transport, url)).length === 1 ? true : undefined));

    // And it stays the same one: no replica takes it from another.
    const [{ webhook_id: id } = { webhook_id: "" }] = await listed(transport, url);
    const checked = all.map(({ keeper }) => keeper.state().provenAt);
    await waitFor("another check of each", () =>
      all.every(({ keeper }, index) => keeper.state().mode === "webhook" && keeper.state().provenAt !== checked[index])
        ? true
        : undefined,
    );
    expect((await listed(transport, url)).map(webhook => webhook.webhook_id)).toEqual([id]);
  });

  const events = [{ entity: "MODEL_VERSION", action: "CREATED" }];
  const meddling: [string, (path: string, url: string) => Promise<unknown>][] = [
    ["deleted", path => transport({ method: "DELETE", path })],
    ["disabled", path => transport({ method: "PATCH", path, body: { status: "DISABLED" } })],
    ["given another URL", path => transport({ method: "PATCH", path, body: { url: "https://example.com/other" } })],
    ["given other events", path => transport({ method: "PATCH", path, body: { events } })],
    [
      "duplicated",
      (_, url) => transport({ method: "POST", path: "webhooks", body: { name: NAME, url, events, secret: "x" } }),
    ],
  ];

  it.each(meddling)("restores a webhook that was %s, and says so", async (change, meddle) => {
    const url = await endpoint();
    const kept = keep({ transport, url });
    await kept.reaches("webhook");
    const [{ webhook_id: id } = { webhook_id: "" }] = await listed(transport, url);

    await meddle(`webhooks/${id}`, url);

    const noticed = await waitFor("the change to be noticed", () =>
      kept.lines.find(({ message }) => message === "Webhook was changed in MLflow, restoring it"),
    );
    expect(noticed).toMatchObject({ level: "warn", fields: { webhook: NAME, changes: [change] } });
    await waitFor("its restoration", async () => {
      const found = await listed(transport, url);
      const right = found.length === 1 && found[0]?.status === "ACTIVE" && found[0].url === url;
      return right && found[0]?.events.length === 2 ? true : undefined;
    });
    // Logged only when the restored one has been looked at again.
    const registrations = (): number =>
      messages(kept.lines).filter(message => message === "info Webhook registered in MLflow").length;
    await waitFor("the log of it", () => (registrations() > 1 ? true : undefined));
    await kept.reaches("webhook");
    expect(registrations()).toBe(2);
  });

  it("gives MLflow a new secret, and names our refusal of a wrong one", async () => {
    const url = await endpoint();
    let secret = "a secret that the module does not have";
    const kept = keep({ transport, url, secret: () => secret });
    const { cause } = await kept.reaches("fallback", /signature/);
    expect(cause).toMatch(/answered MLflow's test delivery 401 \(the signature does not match.*give all replicas/);

    secret = SECRET;
    await kept.reaches("webhook");
    expect(kept.lines.at(-1)).toMatchObject({ message: PROVEN, fields: { recovered: true } });

    // Without a failure in between, too, and long before the next check.
    const long = keep({ transport, url, secret: () => secret, checkInterval: 600 });
    await long.reaches("webhook");
    await kept.keeper.stop();
    secret = "another one";
    await long.reaches("fallback", /401/);
    expect(long.lines.map(({ message }) => message)).toContain(BROKEN);
    expect(JSON.stringify([kept.lines, long.lines, long.states])).not.toMatch(/a secret that|another one/);
  });

  it("names what stands at a wrong address", async () => {
    const foreign = createServer((_, response) => response.end("<html>Welcome</html>"));
    await new Promise<void>(resolve => foreign.listen(0, "127.0.0.1", resolve));
    cleanUp.push(() => new Promise(resolve => foreign.close(resolve)));
    const { port } = foreign.address() as AddressInfo;
    const addresses: [string, RegExp][] = [
      [`http://127.0.0.1:${port}/webhook`, /\(with 200\) is not this module/],
      [`${await endpoint()}/other`, /404/],
      ["http://127.0.0.1:1/webhook", /nothing listens at/],
      ["http://nowhere.invalid/webhook", /cannot resolve the host name/],
      [`https://127.0.0.1:${port}/webhook`, /finds no TLS/],
    ];
    for (const [url, cause] of addresses) {
      const kept = keep({ transport, url });
      await kept.reaches("fallback", cause);
      await kept.keeper.stop();
    }
  });

  it("shows no credentials of the URL", async () => {
    const url = "http://user:geheim@127.0.0.1:1/webhook?key=geheim";
    const kept = keep({ transport, url });
    await kept.reaches("fallback", /nothing listens at/);
    expect(JSON.stringify([kept.lines, kept.states])).not.toContain("geheim");
  });

  it("calls MLflow no more once it was stopped", async () => {
    let calls = 0;
    const url = await endpoint();
    const { keeper, reaches } = keep({
      url,
      transport: call => {
        calls++;
        return transport(call);
      },
    });
    await reaches("webhook");
    await keeper.stop();
    const before = calls;
    await new Promise(resolve => setTimeout(resolve, 1500));
    expect(calls).toBe(before);
  });
});

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
    const { trackingUri } = await startMlflowForTest({ environment, workers: 4 });
    const transport = transportTo(trackingUri);
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
    for (let process = 0; process < 20; process++) expect(await listed(transport, url)).toEqual([]);
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
