import { describe, expect, it } from "vitest";
import { fakeCluster } from "../../test/support/unit/fake-cluster";
import { liveService, modelVersion, NAMESPACE } from "../../test/support/unit/objects";
import type { ModelVersionKey } from "../support/model-version-key";
import { reconcileModel } from "./model-reconcile";
import type { Action, Outcome } from "./reconciler";

const TIMES = { mlflowMilliseconds: 1, kubernetesMilliseconds: 1 };

/** Reconciles iris, of which versions 1 and 2 are served, with this outcome of each version. */
async function reconciled(
  version: string | undefined,
  actions: Readonly<Record<string, Action | Error>>,
): Promise<{ readonly outcome: string | undefined; readonly asked: string[] }> {
  const asked: string[] = [];
  const cluster = fakeCluster(
    ...["1", "2"].map(number => liveService(modelVersion({ version: number }))),
    liveService(modelVersion({ model: "churn", version: "1" })),
  );
  const reconcile = ({ version: number }: ModelVersionKey): Promise<Outcome> => {
    asked.push(number);
    const action = actions[number] ?? "unchanged";
    if (action instanceof Error) return Promise.reject(action);
    return Promise.resolve({ action, inferenceService: `v${number}`, namespace: NAMESPACE, ...TIMES });
  };
  const outcome = await reconcileModel(cluster, reconcile, "iris", version);
  return { outcome: outcome && `${outcome.inferenceService} ${outcome.action}`, asked: asked.sort() };
}

describe("a model whose alias was touched", () => {
  it("has the version looked at that it was set on, and all that are served", async () => {
    expect(await reconciled("3", { 1: "held", 3: "created" })).toEqual({
      outcome: "v3 created",
      asked: ["1", "2", "3"],
    });
    expect(await reconciled("2", {})).toEqual({ outcome: "v2 unchanged", asked: ["1", "2"] });
  });

  it("tells what went, or stays, when an alias was taken away", async () => {
    expect(await reconciled(undefined, { 2: "deleted" })).toMatchObject({ outcome: "v2 deleted" });
    expect(await reconciled(undefined, { 2: "held" })).toMatchObject({ outcome: "v2 held" });
    expect(await reconciled(undefined, {})).toMatchObject({ outcome: "v1 unchanged" });
  });

  it("fails with the one that it was set on, and with any when it was taken away", async () => {
    const failure = new Error("dbfs: cannot be read");
    await expect(reconciled("3", { 3: failure })).rejects.toThrow(failure);
    await expect(reconciled(undefined, { 2: failure })).rejects.toThrow(failure);
    expect(await reconciled("3", { 1: failure, 3: "created" })).toMatchObject({ outcome: "v3 created" });
  });
});
