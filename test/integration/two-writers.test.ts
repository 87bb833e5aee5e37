import { beforeAll, expect, inject, test } from "vitest";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import { surround } from "../faults/replicas";
import { kubeConfigFrom } from "../support/kube-config";
import { installPeprStore } from "../support/pepr-store";
import { waitFor } from "../support/waiting";
import { testKubectl } from "../testbed/namespaces";

beforeAll(() => installPeprStore(testKubectl(), inject("kubeconfig")));

const THEIRS = "s3://somebody/else";

interface EventList {
  readonly items: readonly { readonly reason: string; readonly message: string }[];
}

test("who changes a service back each time is answered at leisure, and named once", async context => {
  const { truth, apiServer: proxy, startReplica } = await surround(context);
  const { namespace, services } = truth;
  const [key = truth.leaving] = truth.kept;
  const name = truth.nameOf(key);
  const applied: string[] = [];
  let watched = false;
  proxy.answered = ({ method, path, isWatch }) => {
    if (method === "PATCH" && path.endsWith(name)) applied.push(path);
    if (isWatch && path.endsWith("/inferenceservices")) watched = true;
  };
  // After its first poll it does not poll again: what is put right is the watch's doing.
  const watcher = await startReplica({ role: "watcher", settings: { POLLING_INTERVAL: "3600", LOG_LEVEL: "INFO" } });
  await truth.converged([...truth.kept, truth.leaving]);
  await waitFor("the watch", () => watched || undefined);
  const before = applied.length;
  const from = watcher.logged.length;
  const lines = (): string[] =>
    watcher.logged.slice(from).flatMap(({ inference_service: about, msg = "" }) => (about === name ? [msg] : []));

  const apiServer = connectToApiServer(15_000, kubeConfigFrom(inject("kubeconfig")));
  const collection = `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices`;
  let takenBack = 0;
  /** What another controller does that wants another value: it looks, and forces it. */
  const insist = async (): Promise<void> => {
    if (JSON.stringify((await services.get(name))?.spec).includes(THEIRS)) return;
    await apiServer({
      method: "PATCH",
      path: `${collection}/${name}`,
      query: { fieldManager: "argocd-controller", force: "true" },
      contentType: "application/apply-patch+yaml",
      body: {
        apiVersion: "serving.kserve.io/v1beta1",
        kind: "InferenceService",
        metadata: { name, namespace },
        spec: { predictor: { model: { storageUri: THEIRS } } },
      },
    });
    takenBack++;
  };
  const told = async (): Promise<string[]> => {
    const { body } = await apiServer({ method: "GET", path: `/api/v1/namespaces/${namespace}/events` });
    return (body as EventList).items.filter(({ reason }) => reason === "ChangedByOthers").map(({ message }) => message);
  };
  await waitFor("the Event", async () => {
    await insist();
    return (await told()).length > 0 || undefined;
  });
  const first = { corrections: applied.length - before, lines: lines().length };
  await waitFor("one more correction", async () => {
    await insist();
    return applied.length - before > first.corrections || undefined;
  });

  // The others set it, it is put right, and so on: three times until it is told, and on a busy machine a few more until the
  // Event is there. Without pauses it were hundreds.
  expect(first.corrections).toBeGreaterThanOrEqual(3);
  expect(first.corrections).toBeLessThanOrEqual(6);
  expect(takenBack).toBeLessThanOrEqual(12);
  // Two for each correction, and the word about it; what KServe makes of the service is a third.
  expect(first.lines).toBeLessThanOrEqual(20);
  expect(await told()).toEqual([
    expect.stringContaining("the field manager argocd-controller sets spec.predictor.model.storageUri") as string,
  ]);
  expect(lines().filter(line => line.includes("argocd-controller"))).toHaveLength(1);
});
