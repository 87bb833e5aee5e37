import { describe, expect, it } from "vitest";
import { fakeCluster } from "../../test/support/unit/fake-cluster";
import { fakeMlflow } from "../../test/support/unit/fake-mlflow";
import { liveService, modelVersion, REGISTRY_CREATED_AT } from "../../test/support/unit/objects";
import { LIMITS, reconcilerBetween } from "../../test/support/unit/reconciling";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import type { MlflowReader, ModelVersion } from "../mlflow/client";
import { MlflowError } from "../mlflow/errors";
import { formatKey } from "../support/model-version-key";
import type { HoldReason } from "./hold-reason";
import type { Removals, Review } from "./removals";
import { readinessOf } from "./successors";

const READY = { status: { conditions: [{ type: "Ready", status: "True" }] } };
const MINUTES = 60_000;

interface World {
  readonly removals: Removals;
  readonly mlflow: ReturnType<typeof fakeMlflow>;
  readonly clock: { now: number };
  /** Reviews the services of all versions that MLflow does not want, as a poll does. */
  readonly poll: () => Promise<Review>;
  /** Reviews the services of these versions, which are tagged, and in a storage that is not allowed. */
  readonly reviewNotAllowed: (versions: readonly ModelVersion[]) => Promise<Review>;
}

/** A policy over services of these versions; MLflow has those that a test puts in. */
function world(
  versions: readonly ModelVersion[],
  replaced: Partial<MlflowReader> = {},
  changes: ServiceChanges = {},
): World {
  const mlflow = fakeMlflow(replaced);
  const services = versions.map(version => ({ key: version, live: serviceOf(version, changes) }));
  const cluster = fakeCluster(...services.map(({ live }) => live));
  const clock = { now: 0 };
  const { removals } = reconcilerBetween(mlflow, cluster, () => clock.now);
  const poll = async (): Promise<Review> => {
    const tagged = await mlflow.searchTagged("deploy");
    const isWanted = (key: ModelVersion): boolean => tagged.some(one => formatKey(one) === formatKey(key));
    const wanted = tagged.map(version => {
      const found = services.find(({ key }) => formatKey(key) === formatKey(version));
      return { version, service: found && readinessOf(found.live) };
    });
    const candidates = services.filter(({ key }) => !isWanted(key));
    return await removals.review(candidates, { size: services.length, wanted });
  };
  const reviewNotAllowed = async (notAllowed: readonly ModelVersion[]): Promise<Review> => {
    const candidates = notAllowed.map(version => ({
      key: version,
      live: serviceOf(version, changes),
      notAllowed: version,
    }));
    return await removals.review(candidates, { size: services.length, wanted: [] });
  };
  return { removals, mlflow, clock, poll, reviewNotAllowed };
}

interface ServiceChanges {
  readonly annotations?: object;
  readonly managedFields?: readonly [];
  readonly status?: object;
}

/** A Ready service that tells which registry and version it is of. */
function serviceOf(version: ModelVersion, changes: ServiceChanges = {}): LiveInferenceService {
  const annotations = {
    "mlflow.model": version.model,
    "mlflow.version": version.version,
    "mlflow.registry": `${REGISTRY_CREATED_AT}/${version.createdAt}`,
    ...changes.annotations,
  };
  const { managedFields, status = READY.status } = changes;
  return liveService(version, { status, metadata: { annotations, ...(managedFields && { managedFields }) } });
}

/** Versions of different models, each made a minute after the one before, without runs. */
function fleet(count: number): ModelVersion[] {
  return Array.from({ length: count }, (_, at) =>
    modelVersion({ model: `model-${at}`, version: "1", runId: "", createdAt: 1_700_000_000_000 + at * MINUTES }),
  );
}

const untagged = (version: ModelVersion): ModelVersion => ({ ...version, tags: new Map() });
const reasonsOf = ({ held }: Review): HoldReason[] => [...new Set(held.map(({ reason }) => reason))];

describe("a poll that finds services unwanted", () => {
  it("lets a few go, and what was deleted in the registry that it came from", async () => {
    const versions = fleet(10);
    const { mlflow, poll } = world(versions);
    versions.slice(2).forEach(mlflow.put);
    const [, second, third] = versions;
    for (const version of [second, third]) if (version) mlflow.put(untagged(version));
    expect(await poll()).toMatchObject({
      released: [{ model: "model-0" }, { model: "model-1" }, { model: "model-2" }],
    });
  });

  it.each([1, 3, 5, 20])("holds all of %i services, whatever number may go at once", async count => {
    const versions = fleet(count);
    const { mlflow, poll, clock } = world(versions);
    versions.map(untagged).forEach(mlflow.put);
    const first = await poll();
    expect([first.released, reasonsOf(first), first.held.length]).toEqual([[], ["mass"], count]);
    clock.now = LIMITS.hold - 1;
    expect((await poll()).released).toEqual([]);
    clock.now = LIMITS.hold;
    expect((await poll()).released).toHaveLength(count);
  });

  it("lets the only service go when this process saw its tag come and go", async () => {
    const [only = modelVersion()] = fleet(1);
    const { removals, mlflow, poll } = world([only]);
    removals.seen(only, REGISTRY_CREATED_AT);
    mlflow.put(untagged(only));
    expect((await poll()).released).toHaveLength(1);
  });

  it("lets services go whose storage is not allowed, under the same rules, and holds the only one", async () => {
    const versions = fleet(10);
    const { mlflow, reviewNotAllowed } = world(versions);
    versions.forEach(mlflow.put);
    const few = await reviewNotAllowed(versions.slice(0, 2));
    expect([few.released.length, few.held]).toEqual([2, []]);
    const many = await reviewNotAllowed(versions);
    expect([many.released, reasonsOf(many), many.held[0]?.isNotAllowed]).toEqual([[], ["mass"], true]);

    const [only = modelVersion()] = fleet(1);
    const alone = world([only]);
    alone.removals.seen(only, REGISTRY_CREATED_AT);
    alone.mlflow.put(only);
    expect(reasonsOf(await alone.reviewNotAllowed([only]))).toEqual(["mass"]);
  });

  it("keeps a service whose version is not the one whose storage was looked at any more", async () => {
    const versions = fleet(10);
    const { mlflow, reviewNotAllowed } = world(versions);
    versions.forEach(mlflow.put);
    const [first = modelVersion()] = versions;
    mlflow.put({ ...first, source: "s3://allowed/now" });
    expect(await reviewNotAllowed([first])).toMatchObject({ released: [], held: [], undecided: [{}] });
  });

  it("keeps holding what it holds, when others are wanted again and when there are more services", async () => {
    const versions = fleet(30);
    const { mlflow, poll } = world(versions);
    versions.forEach((version, at) => {
      mlflow.put(at < 20 ? untagged(version) : version);
    });
    expect((await poll()).held).toHaveLength(20);
    versions.slice(0, 6).forEach(mlflow.put);
    const after = await poll();
    expect([after.released, after.held.length]).toEqual([[], 14]);
  });

  it("forgets nothing while MLflow does not answer, and lets nothing go", async () => {
    let isDown = false;
    const versions = fleet(3);
    const { mlflow, poll, clock } = world(versions, {
      getModelVersion: key =>
        isDown ? Promise.reject(new Error("down")) : Promise.resolve(mlflow.versions.get(formatKey(key))),
    });
    versions.map(untagged).forEach(mlflow.put);
    await poll();
    isDown = true;
    clock.now = LIMITS.hold;
    const silent = await poll();
    expect([silent.released, silent.held.length]).toEqual([[], 3]);
    isDown = false;
    expect((await poll()).released).toHaveLength(3);
  });

  it("holds what this module never applied, and then lets it go", async () => {
    const versions = fleet(3);
    const { mlflow, clock, poll } = world(versions, {}, { managedFields: [] });
    versions.slice(1).forEach(mlflow.put);
    for (const version of versions.slice(0, 1)) mlflow.put(untagged(version));
    expect(reasonsOf(await poll())).toEqual(["never applied"]);
    clock.now += LIMITS.hold;
    expect(await poll()).toMatchObject({ released: [{ model: "model-0" }], held: [] });
  });

  it("takes nothing for evidence that another registry says, however long it says so", async () => {
    const versions = fleet(10);
    const { mlflow, poll, clock } = world(versions, { getDefaultExperimentCreation: () => Promise.resolve(1) });
    // It has one of the same name and number, untagged, and knows nothing of another.
    versions.slice(2).forEach(mlflow.put);
    const [first] = versions;
    if (first) mlflow.put({ ...untagged(first), createdAt: 5 });
    expect(reasonsOf(await poll())).toEqual(["other registry"]);
    clock.now = 1000 * LIMITS.hold;
    expect(await poll()).toMatchObject({ released: [], held: [{}, {}] });
  });

  it("goes by the recorded registry when it saw the version while MLflow did not tell its own", async () => {
    const versions = fleet(10);
    const { mlflow, removals, poll } = world(versions, { getDefaultExperimentCreation: () => Promise.resolve(1) });
    versions.slice(1).forEach(mlflow.put);
    const [first] = versions;
    if (first) removals.seen(first, undefined);
    expect(reasonsOf(await poll())).toEqual(["other registry"]);
  });

  it("goes by the version's own creation where MLflow does not tell the registry's", async () => {
    const versions = fleet(10);
    const forbidden = { getDefaultExperimentCreation: () => Promise.reject(new Error("403")) };
    const { mlflow, poll } = world(versions, forbidden);
    versions.slice(2).forEach(mlflow.put);
    const [first, second] = versions;
    if (first) mlflow.put(untagged(first));
    if (second) mlflow.put({ ...untagged(second), createdAt: 5 });
    expect(await poll()).toMatchObject({ released: [{ model: "model-0" }], held: [{ reason: "other registry" }] });
  });

  it("holds a service of unknown origin that MLflow does not know, unless MLflow knows its run", async () => {
    const versions = fleet(10);
    const { mlflow, removals } = world(versions);
    versions.slice(2).forEach(mlflow.put);
    mlflow.runs.set("known", { experimentId: "1", artifactUri: "" });
    const candidates = versions.slice(0, 2).map((key, at) => {
      const run = at === 0 ? "known" : "unknown";
      return { key, live: serviceOf(key, { annotations: { "mlflow.registry": "", "mlflow.run-id": run } }) };
    });
    const [, , third = modelVersion()] = versions;
    const wanted = [{ version: third, service: readinessOf(serviceOf(third)) }];
    expect(await removals.review(candidates, { size: 10, wanted })).toMatchObject({
      released: [{ model: "model-0" }],
      held: [{ key: { model: "model-1" }, reason: "unknown registry" }],
    });
  });

  it("holds services of unknown origin for good when MLflow knows none of ours", async () => {
    const { poll, clock } = world(fleet(3), {}, { annotations: { "mlflow.registry": "" } });
    expect(reasonsOf(await poll())).toEqual(["unknown to all"]);
    clock.now = LIMITS.hold * 100;
    expect((await poll()).released).toEqual([]);
  });

  it("holds services of another workspace of the same MLflow for good", async () => {
    const { poll, clock } = world(
      fleet(3),
      {},
      { annotations: { "mlflow.registry": `${REGISTRY_CREATED_AT}/1/team-a` } },
    );
    expect(reasonsOf(await poll())).toEqual(["other registry"]);
    clock.now = LIMITS.hold * 100;
    expect((await poll()).released).toEqual([]);
  });

  it("goes on holding a mass when another MLflow has answered meanwhile, or a person had their hands on it", async () => {
    let registry = REGISTRY_CREATED_AT;
    const versions = fleet(10);
    const { mlflow, removals, poll, clock } = world(versions, {
      getDefaultExperimentCreation: () => Promise.resolve(registry),
    });
    versions.slice(8).forEach(mlflow.put);
    versions.slice(0, 8).map(untagged).forEach(mlflow.put);
    expect(reasonsOf(await poll())).toEqual(["mass"]);
    registry += 1;
    mlflow.versions.clear();
    expect(reasonsOf(await poll())).toEqual(["other registry"]);
    registry -= 1;
    versions.slice(5).forEach(mlflow.put);
    const five = versions.slice(0, 5);
    five.map(untagged).forEach(mlflow.put);
    expect([await poll()].map(review => [review.released, reasonsOf(review)])).toEqual([[[], ["mass"]]]);
    clock.now = LIMITS.hold - 1;
    const handsOff = new Set(five.map(formatKey));
    expect((await removals.review([], { size: 5, handsOff, wanted: [] })).held).toEqual([]);
    clock.now = LIMITS.hold + 1;
    expect(reasonsOf(await poll())).toEqual(["mass"]);
    clock.now = LIMITS.hold * 2;
    expect((await poll()).released).toHaveLength(5);
  });

  it("counts those that MLflow gives no answer about as going with the others", async () => {
    const versions = fleet(3);
    const { mlflow, poll } = world(versions, {
      getModelVersion: key =>
        key.model === "model-2"
          ? Promise.reject(new Error("too many requests"))
          : Promise.resolve(mlflow.versions.get(formatKey(key))),
    });
    versions.map(untagged).forEach(mlflow.put);
    expect(await poll()).toMatchObject({ released: [], held: [{ reason: "mass" }, { reason: "mass" }] });
  });

  it("holds what is missing when the newest versions are, as after a restore; one that is missing was deleted", async () => {
    const versions = fleet(10);
    const { mlflow, poll } = world(versions);
    versions.slice(0, 8).forEach(mlflow.put);
    expect(reasonsOf(await poll())).toEqual(["registry set back"]);
    const [, , , , , , , , ninth] = versions;
    if (ninth) mlflow.put(ninth);
    // Once suspected, it is held its time.
    expect(reasonsOf(await poll())).toEqual(["registry set back"]);
    const { mlflow: other, poll: pollOther } = world(versions);
    versions.slice(0, 9).forEach(other.put);
    expect((await pollOther()).released).toMatchObject([{ model: "model-9" }]);
  });
});

describe("a service that MLflow does not say anything about", () => {
  const iris = modelVersion();
  const others = fleet(3);
  const answeredWith = async (replaced: Partial<MlflowReader>): Promise<Review> => {
    const { mlflow, poll } = world([iris, ...others], replaced);
    others.forEach(mlflow.put);
    return await poll();
  };

  it("stays, with the cause and what a person can do", async () => {
    const denied = new MlflowError("unauthorized", "no permission", undefined, { facts: { status: 403 } });
    expect(await answeredWith({ getModelVersion: () => Promise.reject(denied) })).toEqual({
      released: [],
      held: [],
      undecided: [
        {
          key: iris,
          cause: expect.stringMatching(
            /user read the version \(403\).*give the user READ.*: kubectl delete inferenceservice -n models mlflow-iris-v3$/,
          ) as string,
        },
      ],
    });
    const down = new MlflowError("unreachable", "MLflow cannot be reached");
    expect((await answeredWith({ getModelVersion: () => Promise.reject(down) })).undecided).toMatchObject([
      {
        cause: expect.stringMatching(
          /does not answer \(MLflow cannot be reached\).*the next poll asks again/,
        ) as string,
      },
    ]);
  });

  it("stays when MLflow's search left it out by mistake", async () => {
    const { undecided } = await answeredWith({ getModelVersion: () => Promise.resolve(iris) });
    expect(undecided).toMatchObject([
      { cause: expect.stringContaining("and its answer about the very version differ") as string },
    ]);
  });
});

describe("the last Ready version of a model", () => {
  const one = modelVersion({ model: "iris", version: "1", runId: "r", createdAt: 1_700_000_000_000 });
  const two = modelVersion({ model: "iris", version: "2", createdAt: 1_700_000_100_000 });
  const others = fleet(3);

  it("waits for the one that is starting, at most the time of a handover", async () => {
    const { mlflow, poll, clock } = world([one, ...others]);
    [...others, two, untagged(one)].forEach(mlflow.put);
    expect(reasonsOf(await poll())).toEqual(["successor is starting"]);
    clock.now = LIMITS.handover;
    expect((await poll()).released).toMatchObject([{ version: "1" }]);
  });

  it("waits for itself under the model's new name", async () => {
    const live = serviceOf(one, { annotations: { "mlflow.run-id": "r" } });
    const { mlflow, removals } = world([one, ...others]);
    const renamed = { ...one, model: "iris-2" };
    mlflow.put(renamed);
    const wanted = [{ version: renamed, service: undefined }];
    expect(reasonsOf(await removals.review([{ key: one, live }], { size: 4, wanted }))).toEqual([
      "successor is starting",
    ]);
  });

  it("goes when another one serves", async () => {
    const { mlflow, poll } = world([one, two, ...others]);
    [...others, two, untagged(one)].forEach(mlflow.put);
    expect((await poll()).released).toMatchObject([{ version: "1" }]);
  });
});

describe("the last Ready version of a model that follows its aliases", () => {
  const version = modelVersion({ model: "iris", version: "1", runId: "", createdAt: 1_700_000_000_000 });
  const former = { ...version, tags: new Map<string, string>(), modelWish: { alias: undefined } };

  it("stays also when a suspicion has had its time", async () => {
    const { mlflow, poll, clock } = world([version]);
    mlflow.put(former);
    for (const minutes of [0, 1, 2, 60]) {
      clock.now = minutes * MINUTES;
      expect(await poll()).toMatchObject({ released: [], held: [{ reason: minutes === 0 ? "mass" : "no alias" }] });
    }
    // Of another word of MLflow's, as after a restore, nothing has had its time.
    mlflow.put({ ...version, tags: new Map() });
    expect(await poll()).toMatchObject({ released: [], held: [{ reason: "mass" }] });
    clock.now += LIMITS.hold;
    expect(await poll()).toMatchObject({ released: [{ model: "iris" }] });
  });

  it("is no part of a mass as long as its model keeps it", async () => {
    const versions = fleet(12);
    const { mlflow, poll, clock } = world(versions);
    const [last = version, ...kept] = versions;
    versions.forEach(mlflow.put);
    for (const one of kept) mlflow.put({ ...one, tags: new Map(), modelWish: { alias: undefined } });
    await poll();
    clock.now = LIMITS.hold;
    expect(await poll()).toMatchObject({ released: [], held: kept.map(() => ({ reason: "no alias" })) });
    mlflow.put(untagged(last));
    expect((await poll()).released).toMatchObject([{ model: last.model }]);
  });

  it("goes by the rules for all where an alias is on it and its storage is not allowed", async () => {
    const wanted = { ...former, modelWish: { alias: "champion" } };
    const { mlflow, reviewNotAllowed, clock } = world([version]);
    mlflow.put(wanted);
    expect(await reviewNotAllowed([wanted])).toMatchObject({ held: [{ reason: "mass" }] });
    clock.now = LIMITS.hold;
    expect(await reviewNotAllowed([wanted])).toMatchObject({ released: [{ model: "iris" }], held: [] });
  });

  it.each([
    ["a moment", 60_000, { released: [], held: [{ reason: "no alias" }] }],
    ["longer than a start takes", LIMITS.handover, { released: [{ model: "iris" }], held: [] }],
  ])("that has not been Ready for %s", async (_, milliseconds, expected) => {
    const lastTransitionTime = new Date(Date.now() - milliseconds).toISOString();
    const status = { conditions: [{ type: "Ready", status: "False", lastTransitionTime }] };
    const { mlflow, poll, clock } = world([version], {}, { status });
    mlflow.put(former);
    await poll();
    clock.now = LIMITS.hold;
    expect(await poll()).toMatchObject(expected);
  });
});

describe("one removal", () => {
  const iris = modelVersion();
  const candidate = { key: iris, live: serviceOf(iris) };

  it("is carried out at once for a delivery about this very version", async () => {
    expect(await world([iris]).removals.decide("delivery", candidate, untagged(iris))).toEqual({ kind: "go" });
    expect(await world([iris]).removals.decide("delivery", candidate, undefined)).toEqual({ kind: "go" });
  });

  it.each(["watch", "poll"] as const)("is left to the review of a poll when the cause is the %s", async cause => {
    expect(await world([iris]).removals.decide(cause, candidate, untagged(iris))).toEqual({
      kind: "hold",
      reason: "left to the poll",
    });
  });

  it("is not carried out for a delivery when another registry answers, unless it has the very version", async () => {
    const { removals } = world([iris], { getDefaultExperimentCreation: () => Promise.resolve(1) });
    const another = untagged({ ...iris, createdAt: iris.createdAt + 1 });
    expect(await removals.decide("delivery", candidate, another)).toEqual({ kind: "hold", reason: "other registry" });
    // What was recorded of its registry was read while the address led elsewhere.
    expect(await removals.decide("delivery", candidate, untagged(iris))).toEqual({ kind: "go" });
  });

  it("is not carried out when the registry that tells its creation has the version: another had answered before", async () => {
    const { removals, mlflow } = world([iris]);
    mlflow.put(iris);
    for (const answer of [undefined, { ...untagged(iris), createdAt: 5 }]) {
      expect(await removals.decide("delivery", candidate, answer)).toEqual({
        kind: "hold",
        reason: "left to the poll",
      });
    }
  });

  it("waits for another version of the model that is tagged and starting", async () => {
    const { removals, mlflow } = world([iris]);
    mlflow.put(modelVersion({ version: "4" }));
    expect(await removals.decide("delivery", candidate, untagged(iris))).toEqual({
      kind: "hold",
      reason: "successor is starting",
    });
  });
});
