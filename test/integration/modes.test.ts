import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import type { MlflowTransport } from "../../capabilities/mlflow/transport";
import { SECRET } from "../support/listener-fixture";
import { waitFor } from "../support/waiting";
import { startMlflow } from "../testbed";
import type { MlflowServer } from "../testbed";
import {
  BROKEN,
  PROVEN,
  cleanUp,
  endpoint,
  expectNoSecret,
  keep,
  listed,
  messages,
  processesStarted,
  transportTo,
  WEBHOOK_NAME,
} from "../support/webhook-modes";

describe("with an MLflow that delivers", () => {
  let mlflow: MlflowServer;
  let transport: MlflowTransport;

  beforeAll(async () => {
    mlflow = await startMlflow({
      python: inject("python"),
      logDirectory: inject("logDirectory"),
      environment: { MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES: "0" },
    });
    // As many server processes as MLflow has by default.
    await processesStarted(mlflow, 4);
    transport = transportTo(mlflow.trackingUri);
  });

  afterAll(async () => {
    await mlflow.part.stop();
  });

  afterEach(async () => {
    for (const { webhook_id: id } of await listed(transport)) {
      await transport({ method: "DELETE", path: `webhooks/${id}` });
    }
  });

  it("registers one webhook with our events, and proves it", async () => {
    const url = await endpoint();
    const kept = keep({ transport, url });

    expect((await kept.reaches("webhook")).provenAt).toBeInstanceOf(Date);

    const [webhook, ...others] = await listed(transport);
    expect(others).toEqual([]);
    expect(webhook).toMatchObject({ name: WEBHOOK_NAME, url, status: "ACTIVE" });
    expect(webhook?.events.map(({ entity, action }) => `${entity}.${action}`).sort()).toEqual([
      "MODEL_VERSION.CREATED",
      "MODEL_VERSION_ALIAS.CREATED",
      "MODEL_VERSION_ALIAS.DELETED",
      "MODEL_VERSION_TAG.DELETED",
      "MODEL_VERSION_TAG.SET",
    ]);
    expect(messages(kept.lines)).toEqual(["info Webhook registered in MLflow", `info ${PROVEN}`]);
    expect(kept.lines[0]?.fields).toEqual({ webhook: WEBHOOK_NAME, url, installation: "test", action: "created" });
    expect(kept.lines[1]?.fields).toMatchObject({ recovered: false });
    expectNoSecret(kept);
  });

  it("ends up with one webhook when three replicas start at once", async () => {
    const url = await endpoint();
    const all = [1, 2, 3].map(() => keep({ transport, url }));

    await Promise.all(all.map(kept => kept.reaches("webhook")));
    await waitFor("a single webhook", async () => ((await listed(transport)).length === 1 ? true : undefined));

    // And it stays the same one: no replica takes it from another.
    const [{ webhook_id: id } = { webhook_id: "" }] = await listed(transport);
    const checked = all.map(({ keeper }) => keeper.state().provenAt);
    await waitFor("another check of each", () =>
      all.every(({ keeper }, index) => keeper.state().mode === "webhook" && keeper.state().provenAt !== checked[index])
        ? true
        : undefined,
    );
    expect((await listed(transport)).map(webhook => webhook.webhook_id)).toEqual([id]);
  });

  const events = [{ entity: "MODEL_VERSION", action: "CREATED" }];
  const meddling: [string, (path: string, url: string) => Promise<unknown>][] = [
    ["deleted", path => transport({ method: "DELETE", path })],
    ["disabled", path => transport({ method: "PATCH", path, body: { status: "DISABLED" } })],
    ["given another URL", path => transport({ method: "PATCH", path, body: { url: "https://example.com/other" } })],
    ["given other events", path => transport({ method: "PATCH", path, body: { events } })],
    [
      "duplicated",
      (_, url) =>
        transport({ method: "POST", path: "webhooks", body: { name: WEBHOOK_NAME, url, events, secret: "x" } }),
    ],
  ];

  it.each(meddling)("restores a webhook that was %s, and says so", async (change, meddle) => {
    const url = await endpoint();
    const kept = keep({ transport, url });
    await kept.reaches("webhook");
    const [{ webhook_id: id } = { webhook_id: "" }] = await listed(transport);

    await meddle(`webhooks/${id}`, url);

    const noticed = await waitFor("the change to be noticed", () =>
      kept.lines.find(({ message }) => message === "Webhook was changed in MLflow, restoring it"),
    );
    expect(noticed).toMatchObject({ level: "warn", fields: { webhook: WEBHOOK_NAME, changes: [change] } });
    await waitFor("its restoration", async () => {
      const found = await listed(transport);
      const right = found.length === 1 && found[0]?.status === "ACTIVE" && found[0].url === url;
      return right && found[0]?.events.length === 5 ? true : undefined;
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
