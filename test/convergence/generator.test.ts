import { beforeAll, describe, expect, it } from "vitest";
import { identityLabels, keyOf, MANAGED_BY, MANAGED_BY_LABEL } from "../../capabilities/kserve/identity";
import { inferenceServiceName } from "../../capabilities/kserve/names";
import type { ForeignObject, ForeignObjects, OwnedObject } from "./foreign-objects";
import { createForeignObjects } from "./foreign-objects";
import { generatePlan } from "./generator";
import type { Plan } from "./operations";
import { convergenceOptionsFrom } from "./options";
import { judgeSets } from "./oracle";

const OPTIONS = { duration: 4000, steps: [40, 80], pausable: ["mlflow"], restartable: ["etcd"] } as const;

/** All that a plan with these options may have in it, some of it rarely. */
const KINDS = [
  "API server faults",
  "MLflow faults",
  "another registry",
  "change template",
  "create as former listener",
  "create foreign",
  "create foreign while tagging",
  "create version",
  "cut watches",
  "delete alias",
  "delete model",
  "delete object",
  "delete tag",
  "delete version",
  "delivery faults",
  "edit",
  "flip tag",
  "forge delivery",
  "kill replica",
  "pause",
  "pause part",
  "put label on",
  "register again",
  "relabel",
  "release",
  "rename model",
  "replace model",
  "replay delivery",
  "restart part",
  "set alias",
  "set model tag",
  "set other tag",
  "set tag",
  "take label off",
  "terminate replica",
  "unpause",
];

describe("a plan", () => {
  let plans: Plan[] = [];

  beforeAll(() => {
    plans = Array.from({ length: 40 }, (_, seed) => generatePlan(seed, OPTIONS));
  });

  it("is the same for the same seed, and another for another seed", () => {
    for (const seed of [0, 1, 2]) {
      expect(generatePlan(seed, OPTIONS)).toEqual(plans[seed]);
      expect(plans[seed]?.steps).not.toEqual(plans[seed + 1]?.steps);
    }
  });

  it("is in order of time, within its duration, of the wanted length", () => {
    for (const { steps, models } of plans) {
      expect(steps.map(({ at }) => at)).toEqual(steps.map(({ at }) => at).sort((one, other) => one - other));
      expect(steps.at(-1)?.at).toBeLessThanOrEqual(4000);
      // The windows of faults come on top.
      const wanted = steps.filter(({ operation }) => !/^(MLflow|API server|delivery) faults$/.test(operation.kind));
      expect(wanted.length).toBeGreaterThanOrEqual(40);
      expect(wanted.length).toBeLessThanOrEqual(80);
      expect(new Set(models).size).toBe(6);
    }
  });

  it("tries everything there is, over some seeds", () => {
    const kinds = plans.flatMap(({ steps }) => steps.map(({ operation }) => operation.kind));
    expect([...new Set(kinds)].sort()).toEqual(KINDS);
  });
});

const NAMESPACE = "models";
const version = (number: string) => ({
  ...{ model: "iris", version: number, source: "s3://a/b", runId: "", status: "READY", createdAt: 0 },
  tags: new Map([["deploy", "true"]]),
});
const ours = (number: string, changes: Partial<OwnedObject["metadata"]> = {}): OwnedObject => ({
  metadata: {
    name: inferenceServiceName(version(number), NAMESPACE),
    namespace: NAMESPACE,
    uid: `uid-${number}`,
    resourceVersion: "10",
    labels: { [MANAGED_BY_LABEL]: MANAGED_BY },
    annotations: { "mlflow.model": "iris", "mlflow.version": number },
    ...changes,
  },
  spec: {},
});
const kindsOf = (live: readonly OwnedObject[], foreign: readonly ForeignObject[] = []): string[] =>
  judgeSets([version("1")], live, knownAs(foreign), { namespace: NAMESPACE, mayStay: () => false }).differences.map(
    ({ kind }) => kind,
  );
const knownAs = (all: readonly ForeignObject[]): Pick<ForeignObjects, "all" | "hasWritten"> => ({
  all,
  hasWritten: uid => all.some(({ left }) => left.metadata.uid === uid),
});

describe("the judgement", () => {
  it("is content with exactly what is tagged", () => {
    expect(keyOf(ours("1").metadata)).toEqual({ model: "iris", version: "1" });
    expect(kindsOf([ours("1")])).toEqual([]);
  });

  it("leaves what a person took over to them, tagged or not, and sees when it is touched", () => {
    for (const number of ["1", "2"]) {
      const annotations = { "mlflow.model": "iris", "mlflow.version": number, "mlflow.management": "paused" };
      const paused = ours(number, { annotations });
      const others = number === "1" ? [] : [ours("1")];
      const foreign = [{ left: paused, madeByOthers: false }];
      expect(kindsOf([paused, ...others], foreign)).toEqual([]);
      expect(kindsOf([{ ...paused, spec: { changed: true } }, ...others], foreign)).toEqual(["foreign object touched"]);
      expect(kindsOf(others, foreign)).toContain("foreign object touched");
    }
  });

  it("counts what the former listener made as ours, but no other version's", () => {
    const labels = identityLabels(version("1"));
    expect(kindsOf([ours("1", { labels, annotations: {} })])).toEqual([]);
    expect(kindsOf([ours("1"), ours("2", { labels: identityLabels(version("2")), annotations: {} })])).toEqual([
      "extra",
    ]);
    expect(kindsOf([ours("1", { labels: identityLabels(version("2")), annotations: {} })])).toEqual(["unknown object"]);
  });

  it("sees what is missing and what is too much", () => {
    expect(kindsOf([])).toEqual(["missing"]);
    expect(kindsOf([ours("1"), ours("2")])).toEqual(["extra"]);
  });

  it("lets a foreign object have the name, as long as it is as its owner left it", () => {
    const theirs = ours("1", { labels: {}, uid: "theirs" });
    const foreign = [{ left: theirs, madeByOthers: true }];
    expect(kindsOf([theirs], foreign)).toEqual([]);
    expect(kindsOf([theirs])).toEqual(["unknown object"]);
    expect(kindsOf([{ ...theirs, spec: { changed: true } }], foreign)).toEqual(["foreign object touched"]);
    expect(kindsOf([ours("1")], foreign)).toEqual(["foreign object touched"]);
    const owned = { ...theirs, metadata: { ...theirs.metadata, managedFields: [{ manager: MANAGED_BY }] } };
    expect(kindsOf([owned], foreign)).toEqual(["foreign object touched"]);
    expect(kindsOf([owned], [{ left: theirs, madeByOthers: false }])).toEqual([]);
  });
});

describe("foreign objects", () => {
  it("are known by the last write of others, whatever the order of the answers", () => {
    const foreign = createForeignObjects();
    foreign.written(ours("1", { labels: {}, resourceVersion: "12" }), false);
    foreign.written(ours("1", { resourceVersion: "9" }), false);
    expect(foreign.all).toHaveLength(1);
    foreign.written(ours("1", { resourceVersion: "13" }), false);
    expect(foreign.all).toEqual([]);
  });

  it("include what a person told the module to leave alone", () => {
    const foreign = createForeignObjects();
    const annotations = { "mlflow.model": "iris", "mlflow.version": "1", "mlflow.management": "released" };
    foreign.written(ours("1", { annotations, resourceVersion: "11" }), false);
    expect(foreign.all).toHaveLength(1);
    foreign.written(ours("1", { resourceVersion: "12" }), false);
    expect(foreign.all).toEqual([]);
  });

  it("may have fields of the module's when they once were its own", () => {
    const foreign = createForeignObjects();
    foreign.written(ours("1", { labels: identityLabels(version("1")), annotations: {}, resourceVersion: "11" }), true);
    foreign.written(ours("1", { labels: {}, annotations: {}, resourceVersion: "12" }), false);
    expect(foreign.all.map(({ madeByOthers }) => madeByOthers)).toEqual([false]);
  });

  it("are forgotten when their owner deletes them", () => {
    const foreign = createForeignObjects();
    foreign.written(ours("1", { labels: {} }), true);
    foreign.deleted("uid-1");
    expect(foreign.all).toEqual([]);
  });

  it("are found where a write got no answer, unless the module wrote into them", () => {
    const foreign = createForeignObjects();
    const theirs = ours("1", { labels: {}, resourceVersion: "7" });
    foreign.found(theirs);
    expect(foreign.all).toEqual([{ left: theirs, madeByOthers: true }]);

    foreign.found(ours("1", { labels: {}, resourceVersion: "8", managedFields: [{ manager: MANAGED_BY }] }));
    expect(foreign.all.map(({ left }) => left)).toEqual([theirs]);
  });
});

describe("the command line", () => {
  it("is read", () => {
    expect(convergenceOptionsFrom([])).toEqual({ kind: "seeds", from: 1, seeds: 20, parallel: 1 });
    expect(convergenceOptionsFrom(["--seed", "7"])).toEqual({ kind: "seeds", from: 7, seeds: 1, parallel: 1 });
    expect(convergenceOptionsFrom(["--soak", "--seed=7"])).toEqual({ kind: "soak", seed: 7, minutes: 20 });
  });

  it.each([
    [["--seeds", "many"], /--seeds must be a whole number of at least 1, and is "many"/],
    [["--minutes", "5"], /npm run soak/],
    [["--soak", "--seeds", "5"], /one long sequence/],
    [["--seed", "1", "--from", "2"], /exactly one run/],
    [["--sedes", "1"], /--sedes/],
  ])("is refused in words: %j", (argv, message) => {
    expect(() => convergenceOptionsFrom(argv)).toThrow(message);
  });
});
