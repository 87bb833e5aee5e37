import { describe, expect, it } from "vitest";
import { fakeCluster } from "../../test/support/unit/fake-cluster";
import type { FakeCluster } from "../../test/support/unit/fake-cluster";
import { fakeMlflow } from "../../test/support/unit/fake-mlflow";
import type { FakeMlflow } from "../../test/support/unit/fake-mlflow";
import { liveService, modelVersion } from "../../test/support/unit/objects";
import { LIMITS, reconcilerBetween } from "../../test/support/unit/reconciling";
import { rejectionOf } from "../../test/support/unit/outcomes";
import { KubernetesError } from "../kubernetes/api-server";
import type { InferenceServices } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import type { MlflowReader } from "../mlflow/client";
import { MlflowError } from "../mlflow/errors";
import { createTemplateRollout } from "./template-rollout";
import { messageOf } from "../observability/logging";
import { resync } from "./resync";
import type { Namesake, ResyncReport } from "./resync";

const IRIS = modelVersion();
const WINE = modelVersion({ model: "wine", version: "1", source: "s3://bucket/wine" });

interface Setup {
  readonly mlflow: FakeMlflow;
  readonly cluster: FakeCluster;
  /** Second services that the polls found. */
  readonly namesakes: readonly Namesake[];
  /** Keys that went through the queue. */
  readonly reconciled: string[];
  /** Failures that were reported. */
  readonly failed: readonly string[];
  /** For each poll that came to its end, the keys that it found different. */
  readonly open: readonly string[][];
  /** Services that were told of. */
  readonly told: readonly string[];
  readonly poll: () => Promise<ResyncReport>;
}

function setUp(
  live: readonly LiveInferenceService[] = [],
  replaced: Partial<MlflowReader> = {},
  services: Partial<InferenceServices> = {},
): Setup {
  const mlflow = fakeMlflow(replaced);
  const cluster = Object.assign(fakeCluster(...live), services);
  const found: Namesake[] = [];
  const clock = { now: 0 };
  const { reconciler, removals } = reconcilerBetween(mlflow, cluster, () => clock.now);
  const rollout = createTemplateRollout({ maximumUnavailable: 1, deadline: 60_000, dryRun: false });
  const reconciled: string[] = [];
  const failed: string[] = [];
  const open: string[][] = [];
  const told: string[] = [];
  const poll = async (): Promise<ResyncReport> => {
    const { report, namesakes } = await resync({
      mlflow,
      services: cluster,
      reconciler,
      reconcile: async key => {
        reconciled.push(`${key.model} ${key.version}`);
        return (await reconciler.act(key, "poll")).outcome;
      },
      removals,
      rollout,
      reporter: {
        failed: ({ model }, error) => failed.push(`${model}: ${messageOf(error)}`),
        pollEnded: keys => open.push(keys.map(({ model, version }) => `${model} ${version}`)),
      },
      deployTagKey: "deploy",
      onFound: key => told.push(`${key.model} ${key.version}`),
    });
    found.push(...namesakes);
    clock.now += LIMITS.hold;
    return report;
  };
  return { mlflow, cluster, namesakes: found, reconciled, failed, open, told, poll };
}

const NOTHING_DONE = { created: 0, updated: 0, deleted: 0, failed: 0, held: 0, outdated: 0 };
/** What keeps the others from being all there are. */
const ROSE = modelVersion({ model: "rose", createdAt: 1_700_000_000_001 });

describe("resync", () => {
  it("creates what is missing, and then has nothing to do", async () => {
    const { mlflow, cluster, reconciled, poll } = setUp();
    mlflow.put(IRIS);
    mlflow.put(WINE);
    expect(await poll()).toEqual({ ...NOTHING_DONE, tagged: 2, managed: 0, created: 2 });
    reconciled.length = 0;
    expect(await poll()).toEqual({ ...NOTHING_DONE, tagged: 2, managed: 2 });
    expect([reconciled, cluster.written.length]).toEqual([[], 2]);
  });

  it("deletes what MLflow says is not tagged any more, or does not exist", async () => {
    const { mlflow, cluster, poll } = setUp([liveService(IRIS), liveService(WINE)]);
    mlflow.put(ROSE);
    await poll();
    mlflow.put(modelVersion({ tags: new Map([["deploy", "false"]]) }));
    expect(await poll()).toEqual({ ...NOTHING_DONE, tagged: 1, managed: 3, deleted: 2 });
    expect([...cluster.objects.keys()]).toEqual(["mlflow-rose-v3"]);
  });

  it("tells of each service of a version, tagged or not", async () => {
    const { mlflow, told, poll } = setUp([liveService(IRIS), liveService(WINE)]);
    mlflow.put(IRIS);
    await poll();
    expect(told).toEqual(["iris 3", "wine 1"]);
  });

  it("repairs what somebody changed", async () => {
    const { mlflow, cluster, poll } = setUp();
    mlflow.put(IRIS);
    await poll();
    const name = "mlflow-iris-v3";
    const live = cluster.objects.get(name) ?? liveService();
    const metadata = { ...live.metadata, generation: 7 };
    cluster.objects.set(name, { ...live, metadata, spec: { predictor: { minReplicas: 0 } } });
    expect(await poll()).toMatchObject({ updated: 1 });
  });

  it.each([
    ["an empty list", (): Promise<never[]> => Promise.resolve([])],
    ["half of the versions", () => Promise.resolve([IRIS])],
  ])("deletes nothing because of %s: MLflow is asked about each version", async (_, searchTagged) => {
    const { mlflow, cluster, poll } = setUp([liveService(IRIS), liveService(WINE)], { searchTagged });
    mlflow.put(IRIS);
    mlflow.put(WINE);
    expect(await poll()).toMatchObject({ deleted: 0, failed: 0 });
    expect(mlflow.asked).toContain('version "wine" version 1');
    expect(cluster.objects.size).toBe(2);
  });

  it("holds a mass deletion, and does it when another pass confirms it", async () => {
    const services = [IRIS, WINE, modelVersion({ model: "rose" })].map(version => liveService(version));
    const { cluster, reconciled, poll } = setUp(services);
    expect(await poll()).toEqual({ ...NOTHING_DONE, tagged: 0, managed: 3, held: 3 });
    expect([reconciled, cluster.objects.size]).toEqual([[], 3]);
    expect(await poll()).toEqual({ ...NOTHING_DONE, tagged: 0, managed: 3, deleted: 3 });
  });

  it("counts no service that is already being deleted", async () => {
    const deletionTimestamp = "2026-01-02T03:04:05Z";
    const going = [WINE, modelVersion({ model: "rose" })].map(version =>
      liveService(version, { metadata: { deletionTimestamp } }),
    );
    const { reconciled, poll } = setUp([liveService(IRIS), ...going]);
    expect(await poll()).toEqual({ ...NOTHING_DONE, tagged: 0, managed: 3, held: 1 });
    expect(reconciled).toEqual([]);
  });

  it.each([
    ["MLflow's search", { searchTagged: () => Promise.reject(new MlflowError("unreachable", "down")) }, {}],
    [
      "a page of services",
      {},
      {
        async *managedPages() {
          yield await Promise.resolve([liveService(WINE)]);
          throw new KubernetesError(410, "Expired", "down");
        },
      },
    ],
  ])("does nothing at all when %s fails", async (_, replaced, services) => {
    const { mlflow, cluster, reconciled, poll } = setUp([liveService(WINE)], replaced, services);
    mlflow.put(IRIS);
    expect((await rejectionOf(poll())).message).toBe("down");
    expect([reconciled, cluster.written]).toEqual([[], []]);
  });

  it("deletes nothing when MLflow does not answer about a version that the search left out", async () => {
    const down = (): Promise<never> => Promise.reject(new MlflowError("unexpected", "an HTML page"));
    const { cluster, poll } = setUp([liveService(IRIS)], { getModelVersion: down });
    expect(await poll()).toEqual({ ...NOTHING_DONE, tagged: 0, managed: 1 });
    expect(cluster.written).toEqual([]);
  });

  it("goes on with the others when one fails", async () => {
    const { mlflow, cluster, poll } = setUp();
    mlflow.put(modelVersion({ source: "dbfs:/iris" }));
    mlflow.put(WINE);
    expect(await poll()).toEqual({ ...NOTHING_DONE, tagged: 2, managed: 0, created: 1, failed: 1 });
    expect([...cluster.objects.keys()]).toEqual(["mlflow-wine-v1"]);
  });

  it("goes on with the others when a version's number is no number", async () => {
    const { mlflow, cluster, poll } = setUp();
    mlflow.put(modelVersion({ version: "latest" }));
    mlflow.put(WINE);
    await poll();
    expect([...cluster.objects.keys()]).toEqual(["mlflow-wine-v1"]);
  });

  it("leaves an object alone that only carries our labels, and tells of it when its version is served here", async () => {
    const labelled = liveService(IRIS, { metadata: { name: "somebodys" } });
    const { mlflow, cluster, reconciled, namesakes, poll } = setUp([labelled]);
    expect(await poll()).toEqual({ ...NOTHING_DONE, tagged: 0, managed: 1 });
    expect([cluster.written, reconciled, namesakes]).toEqual([[], [], []]);
    mlflow.put(IRIS);
    expect(await poll()).toMatchObject({ created: 1 });
    expect(namesakes).toEqual([{ inferenceService: "somebodys", beside: "mlflow-iris-v3" }]);
  });
});
