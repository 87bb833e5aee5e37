import { describe, expect, it } from "vitest";
import type { FakeCluster } from "../../test/support/unit/fake-cluster";
import { liveService, modelVersion } from "../../test/support/unit/objects";
import { rejectionOf } from "../../test/support/unit/outcomes";
import { changeOnce, setUpReconciler } from "../../test/support/unit/reconciling";
import type { Reconciling } from "../../test/support/unit/reconciling";
import { KubernetesError } from "../kubernetes/api-server";
import { keyOf } from "../kserve/identity";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import type { MlflowReader } from "../mlflow/client";
import { MlflowError } from "../mlflow/errors";
import { ForeignObjectError, RefusedError, StorageNotAllowedError } from "./errors";

const IRIS = modelVersion();
const KEY = { model: IRIS.model, version: IRIS.version };
const NAME = "mlflow-iris-v3";
/** What the tests' template makes of it. */
const TEMPLATE_SPEC = {
  predictor: { minReplicas: 1, model: { storageUri: IRIS.source, args: ["--name", IRIS.model] } },
};
const UNTAGGED = modelVersion({ tags: new Map() });
/** Somebody else's object of the same name. */
const FOREIGN = liveService(IRIS, { metadata: { labels: {}, annotations: {} } });

describe("act", () => {
  it("creates, leaves alone, updates and deletes, as MLflow says", async () => {
    const { mlflow, cluster, reconciler } = setUpReconciler();
    const act = async (): Promise<unknown> => (await reconciler.act(KEY, "delivery")).outcome;
    const common = { inferenceService: NAME, namespace: "models" };
    expect(await act()).toMatchObject({ ...common, action: "created" });
    expect(keyOf(cluster.objects.get(NAME)?.metadata ?? {})).toEqual(KEY);
    expect(await act()).toMatchObject({ ...common, action: "unchanged" });
    mlflow.put(modelVersion({ source: "s3://bucket/new" }));
    expect(await act()).toMatchObject({ ...common, action: "updated" });
    expect(cluster.objects.get(NAME)?.spec).toMatchObject({ predictor: { model: { storageUri: "s3://bucket/new/" } } });
    mlflow.put(UNTAGGED);
    expect(await act()).toMatchObject({ ...common, action: "deleted", reason: "the model version has no tag deploy" });
    expect(cluster.objects.size).toBe(0);
    expect(await act()).toMatchObject({ ...common, action: "unchanged" });
  });

  it("records no registry that does not have the version, and asks again for the next one", async () => {
    let leadsElsewhere = true;
    const { mlflow, cluster, reconciler } = setUpReconciler([], {
      getDefaultExperimentCreation() {
        if (leadsElsewhere) mlflow.remove(KEY);
        return Promise.resolve(leadsElsewhere ? 1 : 2);
      },
    });
    const recorded = (): unknown => cluster.objects.get(NAME)?.metadata.annotations["mlflow.registry"];
    await reconciler.act(KEY, "delivery");
    expect(recorded()).toBe(`/${IRIS.createdAt}`);
    leadsElsewhere = false;
    mlflow.put(IRIS);
    cluster.objects.clear();
    await reconciler.act(KEY, "delivery");
    expect(recorded()).toBe(`2/${IRIS.createdAt}`);
  });

  it("tells how long it waited for each system", async () => {
    const { outcome } = await setUpReconciler().reconciler.act(KEY, "delivery");
    expect(outcome.mlflowMilliseconds).toBeGreaterThanOrEqual(0);
    expect(outcome.kubernetesMilliseconds).toBeGreaterThanOrEqual(0);
  });

  it("deletes the service of a version that MLflow says does not exist", async () => {
    const { mlflow, cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    mlflow.remove(KEY);
    expect((await reconciler.act(KEY, "delivery")).outcome).toMatchObject({
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
      expect(await rejectionOf(reconciler.act(KEY, "delivery"))).toBe(down);
      expect(cluster.written).toEqual([]);
    },
  );

  it("leaves a service alone whose version is tagged but not READY", async () => {
    const { mlflow, cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    mlflow.put(modelVersion({ status: "PENDING_REGISTRATION" }));
    const { outcome } = await reconciler.act(KEY, "delivery");
    expect(outcome).toMatchObject({ action: "ignored" });
    expect(outcome.reason).toContain("PENDING_REGISTRATION");
    expect(cluster.written).toEqual([]);
  });

  it("leaves a service alone whose source KServe cannot read (any more)", async () => {
    const { mlflow, cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    mlflow.put(modelVersion({ source: "dbfs:/iris" }));
    expect(await rejectionOf(reconciler.act(KEY, "delivery"))).toBeInstanceOf(RefusedError);
    expect(cluster.written).toEqual([]);
  });

  it.each(["0", "latest", ""])("refuses %j as a version, and asks nobody", async version => {
    const { mlflow, reconciler } = setUpReconciler();
    const error = await rejectionOf(reconciler.act({ model: "iris", version }, "delivery"));
    expect(error).toBeInstanceOf(RefusedError);
    expect(error.message).toContain("MLflow's versions are numbers");
    expect(mlflow.asked).toEqual([]);
  });
});

describe("an object that is not ours", () => {
  const OTHER = { model: "wine", version: "1" };
  const LABELLED = liveService(OTHER, { metadata: { name: NAME } });
  const annotations = { "mlflow.model": "wine", "mlflow.version": "1", "mlflow.management": "released" };
  const RELEASED = liveService(OTHER, { metadata: { name: NAME, annotations } });

  it.each([
    ["without our label", FOREIGN],
    ["with our label and another identity", LABELLED],
    ["handed over to people, and never of the version,", RELEASED],
  ])("%s is not overwritten, and named as the conflict", async (_, foreign) => {
    const { cluster, reconciler } = setUpReconciler([foreign]);
    const error = await rejectionOf(reconciler.act(KEY, "delivery"));
    expect(error).toBeInstanceOf(ForeignObjectError);
    expect(error.message).toBe(
      `InferenceService models/${NAME} exists and was not made by this module, so it is left untouched; delete or rename it, or register the model under another name`,
    );
    expect(cluster.written).toEqual([]);
  });

  it.each([FOREIGN, LABELLED])("is not deleted (%#)", async foreign => {
    const { mlflow, cluster, reconciler } = setUpReconciler([foreign]);
    mlflow.put(UNTAGGED);
    expect((await reconciler.act(KEY, "delivery")).outcome.action).toBe("unchanged");
    expect(cluster.written).toEqual([]);
  });

  it("is not overwritten when it comes between our look and our Apply", async () => {
    const { cluster, reconciler } = setUpReconciler();
    changeOnce(cluster, () => cluster.objects.set(NAME, FOREIGN));
    expect(await rejectionOf(reconciler.act(KEY, "delivery"))).toBeInstanceOf(ForeignObjectError);
    expect(cluster.objects.get(NAME)).toBe(FOREIGN);
  });

  it("is not taken back when somebody took it over between our look and our Apply", async () => {
    const { cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    const takenOver = liveService(IRIS, { metadata: { labels: {}, resourceVersion: "101" } });
    changeOnce(cluster, () => cluster.objects.set(NAME, takenOver));
    expect(await rejectionOf(reconciler.act(KEY, "delivery"))).toBeInstanceOf(ForeignObjectError);
    expect(cluster.objects.get(NAME)).toBe(takenOver);
  });

  it("is not deleted when it takes our object's place between our look and our Delete", async () => {
    const { mlflow, cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    mlflow.put(UNTAGGED);
    const foreign = liveService(IRIS, { metadata: { labels: {}, uid: "another" } });
    changeOnce(cluster, () => cluster.objects.set(NAME, foreign));
    expect((await reconciler.act(KEY, "delivery")).outcome.action).toBe("unchanged");
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
    expect((await reconciler.act(KEY, "delivery")).outcome.action).toBe("updated");
    expect(cluster.written).toEqual([`delete ${NAME}`, `apply ${NAME}`]);
  });

  it("that put another object of ours in its place makes us apply to that one", async () => {
    const { cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    changeOnce(cluster, () => cluster.objects.set(NAME, liveService(IRIS, { metadata: { uid: "another" } })));
    expect((await reconciler.act(KEY, "delivery")).outcome.action).toBe("updated");
    expect(cluster.objects.get(NAME)?.metadata.uid).toBe("another");
  });

  it("that took the object away makes us create it", async () => {
    const { cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    changeOnce(cluster, () => cluster.objects.delete(NAME));
    expect((await reconciler.act(KEY, "delivery")).outcome.action).toBe("created");
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
    expect((await reconciler.act(KEY, "delivery")).outcome.action).toBe("created");
    expect(cluster.written).toEqual([`apply ${NAME}`]);
  });

  it("deletes no second time what is being deleted", async () => {
    const going = liveService(IRIS, { metadata: { deletionTimestamp: "2026-01-02T03:04:05Z" } });
    const { mlflow, cluster, reconciler } = setUpReconciler([going]);
    mlflow.put(UNTAGGED);
    expect((await reconciler.act(KEY, "delivery")).outcome.action).toBe("unchanged");
    expect(cluster.written).toEqual([]);
  });

  it.each([
    new KubernetesError(422, "Invalid", "spec.predictor: Invalid value"),
    new KubernetesError(403, "Forbidden", "no"),
    new KubernetesError(0, "NoAnswer", "The Kubernetes API server cannot be reached"),
  ])("is not what happened with %o", async error => {
    const { cluster, reconciler } = setUpReconciler([liveService(IRIS)]);
    let tries = 0;
    cluster.beforeWrite = () => {
      tries++;
      throw error;
    };
    expect(await rejectionOf(reconciler.act(KEY, "delivery"))).toBe(error);
    expect(tries).toBe(1);
  });
});

describe("the second look", () => {
  it("confirms what still holds, and nothing else", async () => {
    const { mlflow, reconciler } = setUpReconciler();
    const acted = await reconciler.act(KEY, "delivery");
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
    const acted = await reconciler.act(KEY, "delivery");
    const down = new MlflowError("unreachable", "down");
    Object.assign(answers, { getModelVersion: () => Promise.reject(down) });
    expect(await rejectionOf(acted.confirm())).toBe(down);
  });
});

describe("standing", () => {
  it("is in place after an Apply, and different with another model", async () => {
    const { cluster, reconciler } = setUpReconciler();
    await reconciler.act(KEY, "delivery");
    const live = cluster.objects.get(NAME) ?? FOREIGN;
    expect(await reconciler.standing(IRIS, live)).toEqual({ kind: "in place" });
    expect(await reconciler.standing(modelVersion({ source: "s3://new" }), live)).toEqual({ kind: "different" });
    expect(await reconciler.standing(IRIS, { ...live, spec: {} })).toEqual({ kind: "different" });
  });

  it("is outdated when another process applied another template; a dry run says what would change", async () => {
    const { cluster, reconciler } = setUpReconciler();
    await reconciler.act(KEY, "delivery");
    const live = cluster.objects.get(NAME) ?? FOREIGN;
    const spec = { predictor: { ...(live.spec.predictor as object), minReplicas: 2 } };
    const { reconciler: restarted } = setUpReconciler();
    expect(await restarted.standing(IRIS, { ...live, spec })).toEqual({ kind: "outdated", differences: [] });
    const { reconciler: rehearsing } = setUpReconciler([], {}, { dryRun: true });
    expect(await rehearsing.standing(IRIS, { ...live, spec })).toEqual({
      kind: "outdated",
      differences: ["spec.predictor.minReplicas: 2 → 1"],
    });
  });

  it.each(["paused", "released"])("is hands off when a person wrote %s", async management => {
    const { reconciler } = setUpReconciler();
    const annotations = { ...liveService(IRIS).metadata.annotations, "mlflow.management": management };
    const live = liveService(IRIS, { metadata: { annotations } });
    expect(await reconciler.standing(IRIS, live)).toEqual({ kind: "hands off" });
  });
});

describe("a service whose storage is not allowed any more", () => {
  const live = liveService(IRIS);
  const allowing = (live: LiveInferenceService, ...allowedStorageUris: string[]): Reconciling =>
    setUpReconciler([live], {}, { storage: { allowedStorageUris } });

  it("is to go, and stays until the poll has let it", async () => {
    const { cluster, reconciler } = allowing(live, "s3://others");
    expect(await reconciler.standing(IRIS, live)).toEqual({ kind: "not allowed" });
    for (const cause of ["delivery", "watch", "poll"] as const) {
      const error = await rejectionOf(reconciler.act(KEY, cause));
      expect(error).toBeInstanceOf(StorageNotAllowedError);
      expect(error.message).toMatch(/ALLOWED_STORAGE_URIS: .*; its service stays for now: the next poll decides/);
    }
    expect(cluster.written).toEqual([]);
  });

  it("stays when a person has paused it, and when it is somebody else's", async () => {
    const paused = {
      ...live,
      metadata: { ...live.metadata, annotations: { ...live.metadata.annotations, "mlflow.management": "paused" } },
    };
    for (const [object, kind] of [
      [paused, "hands off"],
      [FOREIGN, "different"],
    ] as const) {
      const { cluster, reconciler } = allowing(object, "s3://others");
      expect(await reconciler.standing(IRIS, object)).toEqual({ kind });
      expect((await rejectionOf(reconciler.act(KEY, "poll"))).message).not.toContain("its service stays");
      expect(cluster.written).toEqual([]);
    }
  });

  it("stays as it is when it is allowed", async () => {
    const { reconciler } = allowing(live, "s3://bucket");
    expect((await reconciler.act(KEY, "poll")).outcome.action).not.toBe("deleted");
  });
});

describe("a service that a person has taken out of our hands", () => {
  it.each(["paused", "released", "pausd"])("is neither changed nor removed (%s)", async management => {
    const annotations = { ...liveService(IRIS).metadata.annotations, "mlflow.management": management };
    const { mlflow, cluster, reconciler } = setUpReconciler([liveService(IRIS, { metadata: { annotations } })]);
    const served = await reconciler.act(KEY, "poll");
    expect(served.outcome).toMatchObject({ action: "ignored" });
    mlflow.put(UNTAGGED);
    const { outcome } = await reconciler.act(KEY, "delivery");
    expect(outcome.action).toBe("ignored");
    expect(outcome.reason).toContain("annotation mlflow.management");
    expect(cluster.written).toEqual([]);
  });
});

const WITH_WHOLE_FOLDER = {
  predictor: {
    ...TEMPLATE_SPEC.predictor,
    model: { ...TEMPLATE_SPEC.predictor.model, storageUri: "s3://bucket/iris/" },
  },
};

describe("a service of the listener before us, which has no annotations and was never applied", () => {
  const OLD = liveService(IRIS, {
    metadata: { annotations: {}, managedFields: [] },
    spec: WITH_WHOLE_FOLDER,
  });

  it("is taken over without a word that its pods would see", async () => {
    const { cluster, reconciler } = setUpReconciler([OLD]);
    expect(await reconciler.standing(IRIS, OLD)).toEqual({ kind: "different" });
    await reconciler.act(KEY, "poll");
    const after = cluster.objects.get(NAME);
    expect([after?.spec, after?.metadata.annotations, after?.metadata.labels]).toEqual([
      OLD.spec,
      {},
      OLD.metadata.labels,
    ]);
    expect(await reconciler.standing(IRIS, after ?? FOREIGN)).toEqual({ kind: "in place" });
  });

  it("keeps the word for no run as it is", async () => {
    const labels = { ...OLD.metadata.labels, "mlflow.run-id": "unknown" };
    const { cluster, reconciler } = setUpReconciler([{ ...OLD, metadata: { ...OLD.metadata, labels } }]);
    await reconciler.act(KEY, "poll");
    const after = cluster.objects.get(NAME) ?? FOREIGN;
    expect(after.metadata.labels).toEqual(labels);
    expect(await reconciler.standing(IRIS, after)).toEqual({ kind: "in place" });
  });

  it("keeps its folder without the slash that ends it, until something else changes", async () => {
    const withoutSlash = { storageUri: "s3://bucket/iris", args: ["--name", "iris"] };
    const live = { ...OLD, spec: { predictor: { ...TEMPLATE_SPEC.predictor, model: withoutSlash } } };
    const { cluster, reconciler } = setUpReconciler([live]);
    await reconciler.act(KEY, "poll");
    const after = cluster.objects.get(NAME) ?? FOREIGN;
    expect(after.spec).toEqual(live.spec);
    expect(await reconciler.standing(IRIS, after)).toEqual({ kind: "in place" });
    const scaled = { ...live, spec: { predictor: { ...live.spec.predictor, minReplicas: 2 } } };
    const { cluster: other, reconciler: next } = setUpReconciler([scaled]);
    await next.act(KEY, "poll");
    expect(other.objects.get(NAME)?.spec).toMatchObject({ predictor: { model: { storageUri: "s3://bucket/iris/" } } });
  });

  it("waits for its turn in the rollout when its artifacts are elsewhere", async () => {
    const live = {
      ...OLD,
      spec: { predictor: { ...TEMPLATE_SPEC.predictor, model: { storageUri: "s3://elsewhere" } } },
    };
    const { cluster, reconciler } = setUpReconciler([live]);
    expect(await reconciler.standing(IRIS, live)).toEqual({ kind: "outdated", differences: [] });
    await reconciler.act(KEY, "watch");
    expect(cluster.written).toEqual([]);
  });

  it("is removed when its version is not tagged any more", async () => {
    const { mlflow, cluster, reconciler } = setUpReconciler([OLD]);
    mlflow.put(UNTAGGED);
    expect((await reconciler.act(KEY, "delivery")).outcome.action).toBe("deleted");
    expect(cluster.objects.size).toBe(0);
  });

  it.each([
    ["its run is another", { labels: { ...OLD.metadata.labels, "mlflow.run-id": "another" } }],
    ["its model is another", { labels: { ...OLD.metadata.labels, "mlflow.model": "wine" } }],
  ])("is somebody else's when %s", async (_, metadata) => {
    const { cluster, reconciler } = setUpReconciler([{ ...OLD, metadata: { ...OLD.metadata, ...metadata } }]);
    expect(await rejectionOf(reconciler.act(KEY, "poll"))).toBeInstanceOf(ForeignObjectError);
    expect(cluster.written).toEqual([]);
  });
});

function found(): ReturnType<MlflowReader["getModelVersion"]> {
  return Promise.resolve(IRIS);
}
