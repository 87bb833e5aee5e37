import { describe, expect, it } from "vitest";
import type { FakeCluster } from "../../test/support/unit/fake-cluster";
import { liveService, modelVersion } from "../../test/support/unit/objects";
import { rejectionOf } from "../../test/support/unit/outcomes";
import { changeOnce, setUpReconciler } from "../../test/support/unit/reconciling";
import { KubernetesError } from "../kubernetes/api-server";
import { keyOf } from "../kserve/identity";
import type { MlflowReader } from "../mlflow/client";
import { MlflowError } from "../mlflow/errors";
import { ForeignObjectError, RefusedError } from "./errors";

const IRIS = modelVersion();
const KEY = { model: IRIS.model, version: IRIS.version };
const NAME = "mlflow-iris-v3";
const UNTAGGED = modelVersion({ tags: new Map() });
/** Somebody else's object of the same name. */
const FOREIGN = liveService(IRIS, { metadata: { labels: {}, annotations: {} } });

describe("act", () => {
  it("creates, leaves alone, updates and deletes, as MLflow says", async () => {
    const { mlflow, cluster, reconciler } = setUpReconciler();
    const act = async (): Promise<unknown> => (await reconciler.act(KEY)).outcome;
    const common = { inferenceService: NAME, namespace: "models" };
    expect(await act()).toMatchObject({ ...common, action: "created" });
    expect(keyOf(cluster.objects.get(NAME)?.metadata ?? {})).toEqual(KEY);
    expect(await act()).toMatchObject({ ...common, action: "unchanged" });
    mlflow.put(modelVersion({ source: "s3://bucket/new" }));
    expect(await act()).toMatchObject({ ...common, action: "updated" });
    expect(cluster.objects.get(NAME)?.spec).toMatchObject({ predictor: { model: { storageUri: "s3://bucket/new" } } });
    mlflow.put(UNTAGGED);
    expect(await act()).toMatchObject({ ...common, action: "deleted", reason: "the model version has no tag deploy" });
    expect(cluster.objects.size).toBe(0);
    expect(await act()).toMatchObject({ ...common, action: "unchanged" });
  });

  it("tells how long it waited for each system", async () => {
    const { outcome } = await setUpReconciler().reconciler.act(KEY);
    expect(outcome.mlflowMilliseconds).toBeGreaterThanOrEqual(0);
    expect(outcome.kubernetesMilliseconds).toBeGreaterThanOrEqual(0);
  });

  it("deletes the service of a version that MLflow says does not exist", async () => {
    const { mlflow, cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    mlflow.remove(KEY);
    expect((await reconciler.act(KEY)).outcome).toMatchObject({
      action: "deleted",
      reason: "the model version does not exist in MLflow",
    });
    expect(cluster.written).toEqual([`delete ${NAME}`]);
  });

  it.each(["unreachable", "unauthorized", "refused", "unexpected"] as const)(
    "deletes nothing when MLflow's answer is %s",
    async kind => {
      const down = new MlflowError(kind, "no answer to rely on");
      const { cluster, reconciler } = setUpReconciler([liveService(IRIS)], {
        getModelVersion: () => Promise.reject(down),
      });
      expect(await rejectionOf(reconciler.act(KEY))).toBe(down);
      expect(cluster.written).toEqual([]);
    },
  );

  it("leaves a service alone whose version is tagged but not READY", async () => {
    const { mlflow, cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    mlflow.put(modelVersion({ status: "PENDING_REGISTRATION" }));
    const { outcome } = await reconciler.act(KEY);
    expect(outcome).toMatchObject({ action: "ignored" });
    expect(outcome.reason).toContain("PENDING_REGISTRATION");
    expect(cluster.written).toEqual([]);
  });

  it("leaves a service alone whose source KServe cannot read (any more)", async () => {
    const { mlflow, cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    mlflow.put(modelVersion({ source: "dbfs:/iris" }));
    expect(await rejectionOf(reconciler.act(KEY))).toBeInstanceOf(RefusedError);
    expect(cluster.written).toEqual([]);
  });

  it.each(["0", "latest", ""])("refuses %j as a version, and asks nobody", async version => {
    const { mlflow, reconciler } = setUpReconciler();
    const error = await rejectionOf(reconciler.act({ model: "iris", version }));
    expect(error).toBeInstanceOf(RefusedError);
    expect(error.message).toContain("MLflow's versions are numbers");
    expect(mlflow.asked).toEqual([]);
  });
});

describe("an object that is not ours", () => {
  const LABELLED = liveService({ model: "wine", version: "1" }, { metadata: { name: NAME } });

  it.each([
    ["without our label", FOREIGN],
    ["with our label and another identity", LABELLED],
  ])("%s is not overwritten, and named as the conflict", async (_, foreign) => {
    const { cluster, reconciler } = setUpReconciler([foreign]);
    const error = await rejectionOf(reconciler.act(KEY));
    expect(error).toBeInstanceOf(ForeignObjectError);
    expect(error.message).toBe(
      `InferenceService models/${NAME} exists and was not made by this module, so it is left untouched; delete or rename it, or register the model under another name`,
    );
    expect(cluster.written).toEqual([]);
  });

  it.each([FOREIGN, LABELLED])("is not deleted (%#)", async foreign => {
    const { mlflow, cluster, reconciler } = setUpReconciler([foreign]);
    mlflow.put(UNTAGGED);
    expect((await reconciler.act(KEY)).outcome.action).toBe("unchanged");
    expect(cluster.written).toEqual([]);
  });

  it("is not overwritten when it comes between our look and our Apply", async () => {
    const { cluster, reconciler } = setUpReconciler();
    changeOnce(cluster, () => cluster.objects.set(NAME, FOREIGN));
    expect(await rejectionOf(reconciler.act(KEY))).toBeInstanceOf(ForeignObjectError);
    expect(cluster.objects.get(NAME)).toBe(FOREIGN);
  });

  it("is not taken back when somebody took it over between our look and our Apply", async () => {
    const { cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    const takenOver = liveService(IRIS, { metadata: { labels: {}, resourceVersion: "101" } });
    changeOnce(cluster, () => cluster.objects.set(NAME, takenOver));
    expect(await rejectionOf(reconciler.act(KEY))).toBeInstanceOf(ForeignObjectError);
    expect(cluster.objects.get(NAME)).toBe(takenOver);
  });

  it("is not deleted when it takes our object's place between our look and our Delete", async () => {
    const { mlflow, cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    mlflow.put(UNTAGGED);
    const foreign = liveService(IRIS, { metadata: { labels: {}, uid: "another" } });
    changeOnce(cluster, () => cluster.objects.set(NAME, foreign));
    expect((await reconciler.act(KEY)).outcome.action).toBe("unchanged");
    expect(cluster.objects.get(NAME)).toBe(foreign);
  });
});

describe("a change between our look and our write", () => {
  it("of the object makes us look again, at MLflow too", async () => {
    const { mlflow, cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    mlflow.put(UNTAGGED);
    changeOnce(cluster, () => {
      // The status changed, and meanwhile the version was tagged again.
      cluster.objects.set(NAME, liveService(IRIS, { metadata: { resourceVersion: "101" } }));
      mlflow.put(IRIS);
    });
    expect((await reconciler.act(KEY)).outcome.action).toBe("updated");
    expect(cluster.written).toEqual([`delete ${NAME}`, `apply ${NAME}`]);
  });

  it("that put another object of ours in its place makes us apply to that one", async () => {
    const { cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    changeOnce(cluster, () => cluster.objects.set(NAME, liveService(IRIS, { metadata: { uid: "another" } })));
    expect((await reconciler.act(KEY)).outcome.action).toBe("updated");
    expect(cluster.objects.get(NAME)?.metadata.uid).toBe("another");
  });

  it("that took the object away makes us create it", async () => {
    const { cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    changeOnce(cluster, () => cluster.objects.delete(NAME));
    expect((await reconciler.act(KEY)).outcome.action).toBe("created");
  });

  it("waits for an object that is being deleted, since an Apply to it would be lost", async () => {
    const going = liveService(IRIS, { metadata: { deletionTimestamp: "2026-01-02T03:04:05Z" } });
    const { cluster, reconciler } = setUpReconciler([going]);
    let looks = 0;
    const gone: FakeCluster["get"] = name => {
      if (++looks === 2) cluster.objects.delete(name);
      return Promise.resolve(cluster.objects.get(name));
    };
    cluster.get = gone;
    expect((await reconciler.act(KEY)).outcome.action).toBe("created");
    expect(cluster.written).toEqual([`apply ${NAME}`]);
  });

  it("deletes no second time what is being deleted", async () => {
    const going = liveService(IRIS, { metadata: { deletionTimestamp: "2026-01-02T03:04:05Z" } });
    const { mlflow, cluster, reconciler } = setUpReconciler([going]);
    mlflow.put(UNTAGGED);
    expect((await reconciler.act(KEY)).outcome.action).toBe("unchanged");
    expect(cluster.written).toEqual([]);
  });

  it.each([
    new KubernetesError(422, "Invalid", "spec.predictor: Invalid value"),
    new KubernetesError(403, "Forbidden", "no"),
    new KubernetesError(0, "NoAnswer", "The Kubernetes API server cannot be reached"),
  ])("is not what happened with %o", async error => {
    const { mlflow, cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    cluster.beforeWrite = () => {
      throw error;
    };
    expect(await rejectionOf(reconciler.act(KEY))).toBe(error);
    expect(mlflow.asked.filter(question => question.startsWith("version"))).toHaveLength(1);
  });
});

describe("the second look", () => {
  it("confirms what still holds, and nothing else", async () => {
    const { mlflow, reconciler } = setUpReconciler();
    const acted = await reconciler.act(KEY);
    expect(await acted.confirm()).toBe(true);
    mlflow.put(UNTAGGED);
    expect(await acted.confirm()).toBe(false);
    mlflow.put(modelVersion({ source: "s3://bucket/new" }));
    expect(await acted.confirm()).toBe(false);
    mlflow.remove(KEY);
    expect(await acted.confirm()).toBe(false);
  });

  it("confirms nothing when MLflow gives no answer", async () => {
    const answers: Parameters<typeof setUpReconciler>[1] = {};
    const { reconciler } = setUpReconciler([], { getModelVersion: key => (answers.getModelVersion ?? found)(key) });
    const acted = await reconciler.act(KEY);
    const down = new MlflowError("unreachable", "down");
    Object.assign(answers, { getModelVersion: () => Promise.reject(down) });
    expect(await rejectionOf(acted.confirm())).toBe(down);
  });
});

describe("isSettled", () => {
  it("is true of what an Apply left, and not of what differs", async () => {
    const { cluster, reconciler } = setUpReconciler();
    await reconciler.act(KEY);
    const live = cluster.objects.get(NAME) ?? FOREIGN;
    expect(await reconciler.isSettled(IRIS, live)).toBe(true);
    expect(await reconciler.isSettled(modelVersion({ source: "s3://new" }), live)).toBe(false);
    const other = { ...live, spec: {}, metadata: { ...live.metadata, generation: live.metadata.generation + 1 } };
    expect(await reconciler.isSettled(IRIS, other)).toBe(false);
  });

  it("takes what admission wrote in another form for settled only in the object that was applied to", async () => {
    const { cluster, reconciler } = setUpReconciler();
    await reconciler.act(KEY);
    const live = cluster.objects.get(NAME) ?? FOREIGN;
    expect(await reconciler.isSettled(IRIS, { ...live, spec: {} })).toBe(true);
    expect(await reconciler.isSettled(IRIS, { ...live, spec: {}, metadata: { ...live.metadata, uid: "new" } })).toBe(
      false,
    );
  });
});

function found(): ReturnType<MlflowReader["getModelVersion"]> {
  return Promise.resolve(IRIS);
}
