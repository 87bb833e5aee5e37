import fc from "fast-check";
import { collidingModelNames, modelName } from "../arbitraries";
import type { PartName } from "../testbed";
import { EDIT_NAMES } from "./operations";
import { TEMPLATE_NAMES } from "./templates";
import type { Operation, Plan, Step, VersionReference } from "./operations";
import { createRandom } from "./random";
import type { Random } from "./random";

export interface PlanOptions {
  /** Milliseconds that the music plays. */
  readonly duration: number;
  /** Number of steps, at the least and at the most. */
  readonly steps: readonly [least: number, most: number];
  /** Parts of the testbed that may be frozen for a second. */
  readonly pausable: readonly PartName[];
  /** Parts that may be killed and started again. */
  readonly restartable: readonly PartName[];
}

/** Models of a plan, the last two of which have names that are alike. */
const MODELS = 6;
const REPLICAS = 3;

/** Values of the tag, those that deploy the most often: MLflow's clients write all of these. */
const TAG_VALUES: readonly (readonly [weight: number, value: string])[] = [
  [10, "true"],
  [2, "True"],
  [1, "TRUE"],
  [2, "false"],
  [1, ""],
  [1, "true "],
  [1, "yes"],
  [1, "1"],
];

const TRUE_VALUES = ["true", "true", "True"] as const;

/** Two that are followed, and one that must not matter. */
const ALIASES = ["champion", "champion", "challenger", "other"] as const;

/**
 * Makes the plan of a seed: the same one for the same seed and options. It says what is tried when; how it ends depends
 * on the timing of real systems, and the check afterwards goes by what MLflow then holds.
 */
export function generatePlan(seed: number, options: PlanOptions): Plan {
  const random = createRandom(seed);
  const models = modelNames(random);
  const operations = operationsOf(random.fork(), options);
  const steps: Step[] = [];
  // First some versions to work with; a plan in which nothing was ever deployed tries nothing.
  for (let at = 0; at < 4; at++) {
    const operation: Operation = {
      kind: "create version",
      model: at,
      source: sourceOf(random),
      ...(random.chance(0.5) ? { tag: "true" } : {}),
    };
    steps.push({ at: at * 40, operation });
  }
  // The windows of faults come on top.
  const count = random.integer(...options.steps) - steps.length;
  // Half of the steps come in bursts, in which they meet each other and the module's work on the one before.
  let at = 150;
  for (let step = 0; step < count; step++) {
    if (!random.chance(0.5)) at = random.integer(150, options.duration);
    else at = Math.min(options.duration, at + random.integer(0, 25));
    steps.push({ at, operation: operations() });
  }
  steps.push(...faultWindows(random.fork(), options.duration));
  steps.sort((one, other) => one.at - other.at);
  // Two more processes: not in every run.
  return { seed, models, steps, faultSeed: random.integer(0, 0xffffffff), hasNeighbour: random.chance(0.4) };
}

const WINDOW_KINDS = ["MLflow faults", "API server faults", "delivery faults"] as const;

/** Mostly one or two windows of each kind in every 4 s; some seeds have none, so that the rest is tried without. */
function faultWindows(random: Random, duration: number): Step[] {
  const windows: Step[] = [];
  for (let from = 0; from < duration; from += 2000) {
    for (const kind of WINDOW_KINDS) {
      if (!random.chance(0.6)) continue;
      const operation = { kind, probability: random.integer(10, 90) / 100, milliseconds: random.integer(300, 2500) };
      windows.push({ at: Math.min(duration, from + random.integer(0, 1900)), operation });
    }
  }
  return windows;
}

/** MLflow refuses slashes, colons and blank names; text that is no Unicode and NUL have no form in its database. */
function isPossibleName(name: string): boolean {
  return name.trim() !== "" && name.length <= 200 && !/[/:\0\p{Surrogate}]/u.test(name);
}

function modelNames(random: Random): string[] {
  const draw = <T>(arbitrary: fc.Arbitrary<T>): T =>
    fc.sample(arbitrary, { seed: random.integer(0, 0x7fffffff), numRuns: 1 })[0] as T;
  const hostile = modelName().filter(isPossibleName);
  const alike = collidingModelNames().filter(pair => pair.every(isPossibleName));
  const names = new Set<string>(["iris", ...draw(alike)]);
  while (names.size < MODELS) names.add(draw(hostile));
  return [...names];
}

function sourceOf(random: Random): string {
  return random.pick(["s3://models/a", "s3://models/b", "gs://models/c", "s3://models/d e"]);
}

function operationsOf(random: Random, options: PlanOptions): () => Operation {
  // Most of what happens, happens to the first few versions of a few models: there it meets.
  const model = (): number => random.integer(0, random.chance(0.8) ? 3 : MODELS - 1);
  const of = (): VersionReference => ({ model: model(), version: random.integer(0, 3) });
  const draw = random.weighted<() => Operation>;
  const between = (least: number, most: number): number => random.integer(least, most);
  const object = (): number => between(0, 20);
  const variants = ["other model", "other model", "with our label", "own container"] as const;

  const choices: (readonly [number, () => Operation])[] = [
    [5, () => ({ kind: "create version", model: model(), source: sourceOf(random) })],
    [3, () => ({ kind: "create version", model: model(), source: sourceOf(random), tag: random.pick(TRUE_VALUES) })],
    [20, () => ({ kind: "set tag", of: of(), value: random.weighted(TAG_VALUES) })],
    [10, () => ({ kind: "delete tag", of: of() })],
    [4, () => ({ kind: "flip tag", of: of(), times: between(2, 6), value: random.weighted(TAG_VALUES) })],
    [3, () => ({ kind: "set other tag", of: of(), value: random.pick(["true", "true", "false"]) })],
    [4, () => ({ kind: "set model tag", model: model(), value: random.pick(["true", "true", "True", "no", null]) })],
    [8, () => ({ kind: "set alias", of: of(), alias: random.pick(ALIASES) })],
    [2, () => ({ kind: "delete alias", model: model(), alias: random.pick(ALIASES) })],
    [3, () => ({ kind: "delete version", of: of() })],
    [3, () => ({ kind: "register again", of: of(), as: model(), source: sourceOf(random), tag: "true" })],
    [
      2,
      () => ({
        kind: "rename model",
        model: model(),
        name: `renamed ${between(1, 3)} ${random.pick(["é", "-", "_"])}`,
      }),
    ],
    [1, () => ({ kind: "delete model", model: model() })],
    [2, () => ({ kind: "replace model", model: model(), source: sourceOf(random), tag: random.pick(TRUE_VALUES) })],
    [7, () => ({ kind: "edit", object: object(), edit: random.pick(EDIT_NAMES) })],
    [4, () => ({ kind: "delete object", object: object() })],
    [2, () => ({ kind: "take label off", object: object() })],
    [2, () => ({ kind: "put label on", object: object() })],
    [3, () => ({ kind: "create foreign", of: of(), variant: random.pick(variants) })],
    [3, () => ({ kind: "create foreign while tagging", of: of(), variant: random.pick(variants) })],
    [4, () => ({ kind: "create as former listener", of: of(), source: sourceOf(random) })],
    [3, () => ({ kind: "relabel", object: object(), of: of() })],
    [4, () => ({ kind: "pause", object: object() })],
    [1, () => ({ kind: "release", object: object() })],
    [2, () => ({ kind: "unpause", object: object() })],
    [1, () => ({ kind: "cut watches" })],
    [2, () => ({ kind: "another registry", milliseconds: between(200, 2500), bystander: between(0, 6) })],
    [0.7, () => ({ kind: "change template", template: random.pick(TEMPLATE_NAMES) })],
    [2, () => ({ kind: "kill replica", replica: between(0, REPLICAS - 1), downFor: between(0, 1000) })],
    [1, () => ({ kind: "terminate replica", replica: between(0, REPLICAS - 1), downFor: between(0, 500) })],
    [2, () => ({ kind: "replay delivery", age: random.pick([0, 0, 30, 299, 310, 3600]), which: between(0, 100) })],
    [2, () => ({ kind: "forge delivery", of: of(), action: random.pick(["set", "deleted"] as const) })],
  ];
  const { pausable, restartable } = options;
  if (pausable.length > 0) {
    choices.push([0.7, () => ({ kind: "pause part", part: random.pick(pausable), milliseconds: between(200, 1000) })]);
  }
  if (restartable.length > 0) {
    choices.push([0.2, () => ({ kind: "restart part", part: random.pick(restartable), downFor: between(0, 2000) })]);
  }
  return () => draw(choices)();
}
