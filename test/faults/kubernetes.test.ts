import { describe, expect, inject, test, vi } from "vitest";
import type { ApiServerFault, ApiServerProxy, ApiServerProxyRequest } from "../support/api-server-proxy";
import { waitFor } from "../support/waiting";
import { createNamespace, testKubectl } from "../testbed/namespaces";
import { recordFault } from "./fault-table";
import { createServiceAccount } from "./service-account";
import { describeAnswers } from "./truth";
import { rideOut, startModule, startWorld } from "./world";

// Nearly all of their time is waiting for a deadline or a poll.
vi.setConfig({ maxConcurrency: 16, testTimeout: 240_000 });

function isWrite({ method }: ApiServerProxyRequest): boolean {
  return method === "PATCH" || method === "DELETE";
}

/** The first time that something is done to an object gets this fault. */
function once(produced: ApiServerFault, times = 1): ApiServerProxy["fault"] {
  const seen = new Map<string, number>();
  return request => {
    const count = (seen.get(request.path) ?? 0) + 1;
    if (isWrite(request)) seen.set(request.path, count);
    return isWrite(request) && count <= times ? produced : undefined;
  };
}

function status(code: number, reason: string, message: string, retryAfter?: number): ApiServerFault {
  return { kind: "status", code, reason, message, ...(retryAfter === undefined ? {} : { retryAfter }) };
}

/** Faults of every request, that the real API server gives only when it is overloaded or half dead, by the answer. */
const ALWAYS: readonly [fault: string, status: number, cause: RegExp, fault: ApiServerFault][] = [
  ["cannot be reached", 500, /cannot be reached/, { kind: "cut before" }],
  ["answers after 20 s", 500, /no complete answer within 15000 ms/, { kind: "delay", milliseconds: 20_000 }],
  ["ends its answers in the middle", 500, /cannot be reached/, { kind: "truncated" }],
  ["answers 429 with Retry-After", 500, /too many/, status(429, "TooManyRequests", "too many requests", 1)],
  ["answers 500", 500, /etcdserver/, status(500, "InternalError", "etcdserver: request timed out")],
  ["answers 503", 500, /shutting down/, status(503, "ServiceUnavailable", "apiserver is shutting down", 1)],
  ["answers 401", 500, /Unauthorized/, status(401, "Unauthorized", "Unauthorized")],
  [
    "has no InferenceServices any more (404)",
    500,
    /could not find/,
    status(404, "NotFound", "the server could not find the requested resource"),
  ],
];

describe.concurrent("the API server", () => {
  test.for(ALWAYS)("%s", async ([fault, expected, cause, produced], context) => {
    const world = await startWorld(context);

    const { answers, polled } = await rideOut(world, {
      group: "Kubernetes",
      fault: `the API server ${fault}`,
      begin: () => {
        world.apiServer.fault = () => produced;
      },
      end: () => {
        world.apiServer.fault = () => undefined;
      },
    });

    expect(answers.map(answer => answer.status)).toEqual([expected, expected]);
    for (const { body } of answers) expect(body.message).toMatch(cause);
    expect(polled).toBeUndefined();
  });

  const ONCE: readonly [fault: string, produce: ApiServerProxy["fault"]][] = [
    [
      "answers an Apply and a Delete with 409 three times",
      once(status(409, "Conflict", "the object has been modified"), 3),
    ],
    ["does an Apply and a Delete, and its answer is lost", once({ kind: "cut after" })],
    ["does an Apply and a Delete, and its answer ends in the middle", once({ kind: "truncated" })],
  ];

  test.for(ONCE)("%s", async ([fault, produce], context) => {
    const world = await startWorld(context);

    const { answers } = await rideOut(world, {
      group: "Kubernetes",
      fault: `the API server ${fault}`,
      begin: () => {
        world.apiServer.fault = produce;
      },
      end: () => undefined,
    });

    // Done at once, or a status that MLflow tries again.
    for (const answer of answers) expect([200, 500]).toContain(answer.status);
    expect(world.apiServer.counts.faults).toBeGreaterThan(1);
  });

  test("answers each Apply and Delete with 409", async context => {
    const world = await startWorld(context);

    const { answers } = await rideOut(world, {
      group: "Kubernetes",
      fault: "the API server answers each Apply and Delete with 409",
      begin: () => {
        world.apiServer.fault = once(status(409, "Conflict", "the object has been modified"), Infinity);
      },
      end: () => {
        world.apiServer.fault = () => undefined;
      },
    });

    expect(answers.map(answer => answer.status)).toEqual([500, 500]);
  });

  test("takes the module's rights away, and gives them back", async context => {
    const namespace = await createNamespace("fault");
    const account = await createServiceAccount(namespace);
    const world = await startWorld(context, { namespace, kubeconfig: account.kubeconfig });
    const isAllowed = (): Promise<boolean> =>
      testKubectl()([
        ...["auth", "can-i", "list", "inferenceservices.serving.kserve.io", `--namespace=${namespace}`],
        `--as=system:serviceaccount:${namespace}:fault-module`,
      ]).then(
        () => true,
        () => false,
      );

    const { answers, polled } = await rideOut(world, {
      group: "Kubernetes",
      fault: "the module's RoleBinding is deleted, and made again",
      begin: async () => {
        await account.takeRights();
        await waitFor("the end of the rights", async () => ((await isAllowed()) ? undefined : true));
      },
      end: account.giveRights,
    });

    expect(answers.map(answer => answer.status)).toEqual([500, 500]);
    for (const { body } of answers)
      expect(body.message).toMatch(/has not the right to get .*apply the module's manifests again/s);
    expect(polled).toBeUndefined();
  });
});

/** KServe's own validation refuses it, and the CRD does not: nothing here is simulated. */
const REFUSED_TEMPLATE = `
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
spec:
  predictor:
    minReplicas: 3
    maxReplicas: 1
    model:
      modelFormat:
        name: mlflow
      protocolVersion: v2
      storageUri: {{storage_uri}}
`;

test.concurrent("KServe's admission refuses what the template makes", async context => {
  const world = await startWorld(context);
  const { truth, mlflow, apiServer } = world;
  await world.listener.stop();
  const settings = { INFERENCE_SERVICE_TEMPLATE: REFUSED_TEMPLATE };
  const refused = await startModule(context, truth, mlflow.url, apiServer.kubeconfig, settings);
  // The poll of the start, whose list is older than the change, would otherwise be the one that is waited for below.
  await refused.listener.poll();
  await truth.change();

  const answers = [await refused.deliver(truth.added), await refused.deliver(truth.leaving, { action: "deleted" })];
  const polled = await refused.listener.poll();

  // 422 is not tried again by MLflow: it would not help.
  expect(answers.map(({ status: code }) => code)).toEqual([422, 200]);
  expect(answers[0]?.body.message).toMatch(/admission webhook .* denied the request: .*replicas/is);
  expect(polled).toMatchObject({ created: 0, updated: 0, deleted: 0 });
  await truth.expectUntouched();
  await refused.listener.stop();
  await startModule(context, truth, mlflow.url, inject("kubeconfig"));
  const convergedAfter = await truth.converged();
  await truth.expectUntouched();
  recordFault({
    group: "Kubernetes",
    fault: "KServe's admission refuses what the template makes (minReplicas over maxReplicas)",
    sent: "tag set, tag deleted: 2 deliveries, 1 poll",
    answer: describeAnswers(answers),
    convergedAfter,
    by: "the first poll with the mended template",
    lost: "nothing",
  });
});
