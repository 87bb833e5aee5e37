import { describe, expect, it } from "vitest";
import { appliedFields, liveService, modelVersion } from "../../test/support/unit/objects";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import type { Outcome } from "./reconciler";
import { createTemplateRollout, progressOf } from "./template-rollout";
import type { OutdatedService, UnfinishedService } from "./template-rollout";

const CREATED = Date.parse("2026-01-02T03:04:05Z");
const APPLIED = CREATED + 3_600_000;
const DEADLINE = 600_000;

/** A service to which we applied a change an hour after its creation, in the state that KServe tells. */
function service(conditions: readonly object[], applied = APPLIED): LiveInferenceService {
  const managedFields = [{ ...appliedFields({}, {}), time: new Date(applied).toISOString() }];
  return liveService(modelVersion(), { metadata: { managedFields }, status: { conditions } });
}

const ready = (reason: string, since = CREATED): object[] => [
  { type: "PredictorReady", status: "True", reason, lastTransitionTime: new Date(since).toISOString() },
  { type: "Ready", status: "True" },
];
const notReady = (since: number): object[] => [
  { type: "Ready", status: "False", lastTransitionTime: new Date(since).toISOString() },
];

describe("progressOf", () => {
  it.each([
    ["done", "serves in its new form", ready("NewReplicaSetAvailable", APPLIED + 5_000), APPLIED + 10_000],
    ["rolling out", "may not have begun", ready("NewReplicaSetAvailable"), APPLIED + 10_000],
    ["done", "has shown no change for long", ready("NewReplicaSetAvailable"), APPLIED + 30_000],
    ["rolling out", "serves from its former pods", ready("MinimumReplicasAvailable"), APPLIED + 10_000],
    ["stuck", "serves from its former pods for too long", ready("MinimumReplicasAvailable"), APPLIED + DEADLINE + 1],
    ["rolling out", "stopped being Ready with the change", notReady(APPLIED), APPLIED + 10_000],
    ["stuck", "stopped being Ready with the change, too long ago", notReady(APPLIED), APPLIED + DEADLINE + 1],
    ["done", "was not Ready before", notReady(APPLIED - 1000), APPLIED + 10_000],
  ] as const)("is %s when it %s", (progress, _, conditions, now) => {
    expect(progressOf(service(conditions), DEADLINE, now)).toBe(progress);
  });

  it("is rolling out when it was brought up to date in the moment after its creation", () => {
    const live = service(ready("NewReplicaSetAvailable"), CREATED + 1_000);
    const updated = { ...live, metadata: { ...live.metadata, generation: 2 } };
    expect(progressOf(updated, DEADLINE, CREATED + 2_000)).toBe("rolling out");
  });

  it("does not wait for what is new, nor for what we never applied", () => {
    expect(progressOf(service(notReady(CREATED), CREATED), DEADLINE, CREATED + DEADLINE + 1)).toBe("done");
    const theirs = liveService(modelVersion(), { metadata: { managedFields: [] } });
    expect(progressOf(theirs, DEADLINE, APPLIED)).toBe("done");
  });
});

describe("a rollout", () => {
  const outdated = (...models: readonly string[]): OutdatedService[] =>
    models.map(model => ({
      key: { model, version: "1" },
      live: liveService({ model, version: "1" }, { status: { conditions: ready("NewReplicaSetAvailable") } }),
      differences: ["spec.a: 1 → 2"],
    }));
  const unfinished = (progress: UnfinishedService["progress"]): UnfinishedService => ({
    inferenceService: "mlflow-x-v1",
    progress,
    cause: "no node",
  });
  const rollOut = async (
    services: readonly OutdatedService[],
    under: readonly UnfinishedService[],
    action: Outcome["action"] | "refused" = "updated",
    dryRun = false,
  ): Promise<{ applied: string[]; state: unknown }> => {
    const applied: string[] = [];
    const rollout = createTemplateRollout({ maximumUnavailable: 2, deadline: DEADLINE, dryRun });
    const state = await rollout.goOn(services, under, ({ model }) => {
      applied.push(model);
      return Promise.resolve(
        action === "refused"
          ? undefined
          : { action, inferenceService: "", namespace: "", mlflowMilliseconds: 0, kubernetesMilliseconds: 0 },
      );
    });
    return { applied, state };
  };

  it("begins with as many as may be on their way, those that do not serve first", async () => {
    const [broken] = outdated("broken");
    const down = { ...broken, live: liveService({ model: "broken", version: "1" }) } as OutdatedService;
    const { applied, state } = await rollOut([...outdated("a", "b"), down], []);
    expect([applied, state]).toEqual([["broken", "a"], { outdated: 1, rollingOut: 2, stuck: [], preview: [] }]);
  });

  it("goes on with those that a former form left on their way, before those that serve", async () => {
    const [first] = outdated("between");
    const between = { status: { conditions: ready("MinimumReplicasAvailable") } };
    const left = { ...first, live: liveService({ model: "between", version: "1" }, between) } as OutdatedService;
    expect((await rollOut([...outdated("a", "b"), left], [])).applied).toEqual(["between", "a"]);
  });

  it("waits for those that are on their way", async () => {
    expect((await rollOut(outdated("a", "b"), [unfinished("rolling out")])).applied).toEqual(["a"]);
  });

  it("stops when one does not become Ready, and when an Apply is refused", async () => {
    const stopped = await rollOut(outdated("a", "b"), [unfinished("stuck")]);
    expect(stopped).toMatchObject({ applied: [], state: { outdated: 2, stuck: [{ cause: "no node" }] } });
    expect((await rollOut(outdated("a", "b"), [], "refused")).applied).toHaveLength(1);
  });

  it("goes through all of those that an Apply does not change", async () => {
    const { applied, state } = await rollOut(outdated("a", "b", "c"), [], "unchanged");
    expect([applied.length, state]).toMatchObject([3, { outdated: 0, rollingOut: 0 }]);
  });

  it("changes nothing in a dry run, and tells what would change alike", async () => {
    const { applied, state } = await rollOut(outdated("a", "b"), [], "updated", true);
    const preview = [{ services: ["mlflow-a-v1", "mlflow-b-v1"], differences: ["spec.a: 1 → 2"] }];
    expect([applied, state]).toMatchObject([[], { outdated: 2, preview }]);
  });
});
