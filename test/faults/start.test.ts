import { once } from "node:events";
import { createServer as createTlsServer } from "node:https";
import { createServer } from "node:net";
import type { Server } from "node:net";
import { beforeAll, describe, expect, inject, test, vi } from "vitest";
import type { TestContext } from "vitest";
import { startApiServerProxy } from "../support/api-server-proxy";
import { SECRET } from "../support/listener-fixture";
import { installPeprStore } from "../support/pepr-store";
import { createReplica } from "../support/replica";
import type { Replica } from "../support/replica";
import { waitFor } from "../support/waiting";
import { createCertificates } from "../testbed/certificates";
import { createNamespace, testKubectl } from "../testbed/namespaces";
import { freePort } from "../testbed/ports";

vi.setConfig({ maxConcurrency: 3, testTimeout: 180_000 });

beforeAll(() => installPeprStore(testKubectl(), inject("kubeconfig")));

type Context = Pick<TestContext, "onTestFinished">;

/** A copy of the module that does not run yet, whose Pepr's part is given up after a short time. */
async function makeReplica(
  { onTestFinished }: Context,
  environment: Readonly<Record<string, string>>,
  { kubeconfig = inject("kubeconfig"), role = "watcher" as Replica["role"] } = {},
): Promise<Replica> {
  const namespace = await createNamespace("start");
  const replica = await createReplica({
    name: namespace,
    role,
    kubeconfig,
    logDirectory: inject("logDirectory"),
    settings: {
      MLFLOW_TRACKING_URI: inject("mlflowTrackingUri"),
      MLFLOW_WEBHOOK_SECRET: SECRET,
      KUBE_NAMESPACE: namespace,
      DEPLOY_TAG_KEY: namespace,
    },
    environment: { REPLICA_PEPR_UP_WITHIN: "5000", ...environment },
  });
  onTestFinished(() => replica.kill());
  return replica;
}

/** Its readiness probe's answer; undefined while nobody answers. */
async function readiness({ url }: Replica): Promise<number | undefined> {
  return await fetch(`${url}/readyz`).then(
    ({ status }) => status,
    () => undefined,
  );
}

/** Starts it, and follows its readiness probe until it has ended. */
async function lifeOf(replica: Replica): Promise<{ code: number | string; ready: Set<number>; fatal: unknown[] }> {
  // That it ends before its endpoint could be seen is all right here.
  const started = replica.start().catch(() => undefined);
  const ready = new Set<number>();
  let over = false;
  const ended = replica.ended().finally(() => {
    over = true;
  });
  await waitFor("its end", async () => {
    const status = await readiness(replica);
    if (status !== undefined) ready.add(status);
    return over || undefined;
  });
  await started;
  const fatal = replica.logged.filter(({ level }) => level === 60).map(({ msg }) => msg);
  return { code: await ended, ready, fatal };
}

/** Has a server listen where Pepr's would. @returns the port */
async function occupy({ onTestFinished }: Context, server: Server): Promise<number> {
  const port = await freePort();
  onTestFinished(() => void server.close());
  await once(server.listen(port), "listening");
  return port;
}

describe.concurrent("a module whose part of Pepr does not come up ends with a line that says why", () => {
  test.for(["watcher", "endpoint"] as const)("%s: what it throws when it is made", async (role, context) => {
    const replica = await makeReplica(context, { SSL_CERT_PATH: "/nowhere/tls.crt" }, { role });
    const { code, ready, fatal } = await lifeOf(replica);
    expect(fatal).toEqual([expect.stringMatching(/^mlflow-kserve cannot start: ENOENT.*\/nowhere\/tls\.crt/)]);
    expect(code).toBe(1);
    expect([...ready]).not.toContain(200);
  });

  test("its port is in use", async context => {
    const port = await occupy(
      context,
      createServer(socket => socket.destroy()),
    );
    const { code, ready, fatal } = await lifeOf(await makeReplica(context, { REPLICA_PEPR_PORT: String(port) }));
    expect(fatal).toEqual([
      expect.stringMatching(new RegExp(`not up after 5 s: its port ${port} cannot be used .*no other process has it`)),
    ]);
    expect(code).toBe(1);
    expect([...ready]).toEqual([503]);
  });

  test("its port is in use by another module of Pepr's, which is well", async context => {
    const { server } = await createCertificates();
    const other = createTlsServer({ cert: server.certificate, key: server.privateKey }, (_, answer) =>
      answer.end("OK"),
    );
    const port = await occupy(context, other);
    const { code, ready, fatal } = await lifeOf(await makeReplica(context, { REPLICA_PEPR_PORT: String(port) }));
    expect(fatal).toEqual([expect.stringContaining(`another process has its port ${port}; free it`)]);
    expect(code).toBe(1);
    expect([...ready]).toEqual([503]);
  });

  test("it may not have its store", async context => {
    const apiServer = await startApiServerProxy({
      kubeconfig: inject("kubeconfig"),
      directory: inject("logDirectory"),
    });
    context.onTestFinished(apiServer.close);
    apiServer.fault = ({ path }) =>
      path.includes("/peprstores") ? { kind: "status", code: 403, reason: "Forbidden" } : undefined;
    const { code, ready, fatal } = await lifeOf(await makeReplica(context, {}, { kubeconfig: apiServer.kubeconfig }));
    expect(fatal).toEqual([expect.stringMatching(/has not read its store .* may read and create peprstores/)]);
    expect(code).toBe(1);
    expect([...ready]).toEqual([503]);
  });
});

test("a module is ready when Pepr's part of it is up", async context => {
  const replica = await makeReplica(context, { REPLICA_PEPR_UP_WITHIN: "60000" });
  await replica.start();
  await waitFor("its readiness", async () => {
    const [status, isLive] = [await readiness(replica), await replica.isLive()];
    if (status === 200) expect(isLive).toBe(true);
    return status === 200 || undefined;
  });
});

test("a module warns by name about a variable of MLflow's client that it does not read", async context => {
  const environment = {
    MLFLOW_TRACKING_AUTH: "a plug-in",
    MLFLOW_TRACKING_USERNAME: "user",
    MLFLOW_TRACKING_PASSWORD: "password",
    MLFLOW_PORT: "tcp://10.0.0.1:5000",
  };
  const replica = await makeReplica(context, { REPLICA_PEPR_UP_WITHIN: "60000", ...environment });
  await replica.start();
  const warned = replica.logged
    .map(({ msg }) => msg)
    .filter(message => String(message).includes("is set and not read"));
  expect(warned).toEqual([
    expect.stringMatching(/^MLFLOW_TRACKING_AUTH is set and not read: .*MLFLOW_TRACKING_TOKEN$/),
  ]);
});
