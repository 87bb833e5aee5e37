import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, inject, test, vi } from "vitest";
import type { TestContext } from "vitest";
import { createMlflowTransport } from "../../capabilities/mlflow/transport";
import { registerWebhook } from "../../capabilities/mlflow/webhook-registration";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { SECRET, uniqueModel } from "../support/listener-fixture";
import { endAsKubelet } from "../support/kubelet";
import { installPeprStore } from "../support/pepr-store";
import { startTamperingProxy } from "../support/tampering-proxy";
import type { TamperingProxy } from "../support/tampering-proxy";
import { waitFor } from "../support/waiting";
import { startMlflow } from "../testbed";
import type { MlflowServer } from "../testbed";
import { testKubectl } from "../testbed/namespaces";
import { recordFault } from "./fault-table";
import { queueDepth, surround } from "./replicas";
import { rideOut, startWorld } from "./world";
import type { World } from "./world";

vi.setConfig({ testTimeout: 180_000 });

// A server of its own: its webhooks and its death are no concern of other tests.
let server: MlflowServer;

beforeAll(async () => {
  server = await startMlflow({ python: inject("python"), logDirectory: inject("logDirectory"), workers: 1 });
  await installPeprStore(testKubectl(), inject("kubeconfig"));
});

afterAll(() => server.part.stop());

/** Where MLflow delivers to, on the way to an endpoint, and what it was answered there. */
interface Front {
  readonly proxy: TamperingProxy;
  readonly statuses: readonly number[];
}

/** Registers an endpoint in MLflow, as the module does it itself, until the end of the test. */
async function register({ onTestFinished }: TestContext, endpoint: string): Promise<Front> {
  const proxy = await startTamperingProxy(endpoint);
  onTestFinished(proxy.close);
  const statuses: number[] = [];
  proxy.tamper = (_path, { status }) => {
    statuses.push(status);
  };
  const transport = createMlflowTransport({
    ...{ trackingUri: server.trackingUri, deadline: 30_000 },
  });
  const name = uniqueModel("fault");
  const registration = { name, url: `${proxy.url}/webhook`, installation: name, secret: SECRET };
  const { id } = await registerWebhook(transport, registration);
  onTestFinished(async () => {
    await transport({ method: "DELETE", path: `webhooks/${id}` });
  });
  // Until MLflow has noticed it (MLFLOW_WEBHOOK_CACHE_TTL), it delivers nothing.
  await waitFor("MLflow's own test of the webhook", async () => {
    await transport({ method: "POST", path: `webhooks/${id}/test`, body: {} });
    return statuses.includes(200) || undefined;
  });
  await sleep(1_500);
  statuses.splice(0);
  return { proxy, statuses };
}

test("MLflow is killed, and started again", async context => {
  const world = await startWorld(context, { mlflowTrackingUri: server.trackingUri });

  const { answers, polled } = await rideOut(world, {
    group: "MLflow",
    fault: "the server is killed, and started again",
    changeFirst: true,
    begin: async () => {
      server.part.kill();
      await waitFor("its end", () => server.part.pid === undefined || undefined);
    },
    end: () => server.part.start(),
  });

  expect(answers.map(({ status }) => status)).toEqual([502, 502]);
  expect(polled).toBeUndefined();
});

test("MLflow is frozen: it takes connections and does not answer", async context => {
  const world = await startWorld(context, { mlflowTrackingUri: server.trackingUri });

  const { answers, polled } = await rideOut(world, {
    group: "MLflow",
    fault: "the server is frozen (SIGSTOP): it takes connections and does not answer",
    changeFirst: true,
    begin: () => {
      server.part.pause();
    },
    end: () => {
      server.part.resume();
    },
  });

  expect(answers.map(({ status }) => status)).toEqual([502, 502]);
  expect(polled).toBeUndefined();
});

/** As many connections as the endpoint serves, each with half a request, so that none is idle. */
async function occupy(url: string): Promise<Socket[]> {
  const { hostname, port } = new URL(url);
  const sockets = Array.from({ length: 512 }, () => connect(Number(port), hostname));
  for (const socket of sockets) {
    socket.on("error", () => undefined);
    socket.write("POST /webhook HTTP/1.1\r\nHost: endpoint\r\n");
  }
  await Promise.all(sockets.filter(({ connecting }) => connecting).map(socket => once(socket, "connect")));
  return sockets;
}

let sockets: Socket[] = [];

const ANSWERS: readonly [
  status: number,
  fault: string,
  begin: (world: World) => Promise<void> | void,
  end: (world: World) => void,
][] = [
  [
    502,
    "MLflow answers our reads with 500",
    ({ mlflow }) => {
      mlflow.tamper = (_path, answer) => {
        Object.assign(answer, { status: 500, body: '{"error_code":"INTERNAL_ERROR","message":""}' });
      };
    },
    ({ mlflow }) => {
      mlflow.tamper = () => undefined;
    },
  ],
  [
    500,
    "the API server cannot be reached",
    ({ apiServer }) => {
      apiServer.fault = () => ({ kind: "cut before" });
    },
    ({ apiServer }) => {
      apiServer.fault = () => undefined;
    },
  ],
  [
    200,
    "512 half-sent requests take all connections of the endpoint, which closes the oldest of them",
    async ({ url }) => {
      sockets = await occupy(url);
    },
    () => {
      for (const socket of sockets) socket.destroy();
    },
  ],
];

test.for(ANSWERS)(
  "MLflow's deliveries are answered %i, and none is lost: %s",
  async ([status, fault, begin, end], context) => {
    // Without a poll after the first: what converges is MLflow's doing.
    const settings = { POLLING_INTERVAL: "3600" };
    const world = await startWorld(context, { mlflowTrackingUri: server.trackingUri, settings });
    const { truth } = world;
    const { statuses } = await register(context, world.url);
    await begin(world);

    await truth.change();

    await waitFor("both to be answered", () => statuses.length >= 2 || undefined);
    end(world);
    const convergedAfter = await truth.converged();
    await world.listener.idle();
    await truth.expectUntouched();
    await waitFor("the answers", () => statuses.filter(one => one === 200).length >= 2 || undefined);
    expect(statuses.slice(0, 2)).toEqual([status, status]);
    recordFault({
      group: "Deliveries",
      fault,
      sent: "tag set, tag deleted: MLflow's own 2 deliveries",
      answer: statuses.join(", "),
      convergedAfter,
      by: status === 200 ? "the deliveries" : "MLflow's own retry",
      lost: "nothing",
    });
  },
);

test("an endpoint ends (SIGTERM) with 10 deliveries in flight that MLflow does not let it finish", async context => {
  const { truth, mlflow, startReplica } = await surround(context, { mlflowTrackingUri: server.trackingUri });
  const model = uniqueModel("in-flight");
  const keys: ModelVersionKey[] = [];
  while (keys.length < 10) keys.push(await truth.registry.register(model));
  const [first, second] = [
    await startReplica({ role: "endpoint", name: "first" }),
    await startReplica({ role: "endpoint", name: "second" }),
  ];
  const { proxy, statuses } = await register(context, first.url);
  mlflow.tamper = () => sleep(60_000, undefined, { ref: false });
  const delivered = proxy.requests("/webhook");

  await Promise.all(keys.map(key => truth.registry.setTag(key, truth.tag, "true")));
  await waitFor("all deliveries at work", async () => (await queueDepth(first.url)) === keys.length || undefined);
  // From now on nobody is sent to the one that ends, as Kubernetes does it.
  proxy.rewrite = path => second.url + path;
  mlflow.tamper = () => undefined;
  const { how, seconds } = await endAsKubelet(first);
  const convergedAfter = await truth.converged(keys);

  // The signal that the kubelet would have sent after the grace period was not needed.
  expect(how).not.toBe("SIGKILL");
  await waitFor("all answers", () => statuses.length >= keys.length || undefined);
  expect(statuses).toEqual(keys.map(() => 200));
  const cut = proxy.requests("/webhook") - delivered - statuses.length;
  recordFault({
    group: "The module",
    fault: "SIGTERM with 10 deliveries in flight, MLflow not answering; a second endpoint is there",
    sent: "10 tags set: MLflow's own 10 deliveries",
    answer: `ended after ${seconds.toFixed(1)} s; ${cut} connections cut, then ${statuses.length}× 200`,
    convergedAfter,
    by: "MLflow's own retry",
    lost: "nothing",
  });
});
