import { FIELD_MANAGER } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import type { PredictorPod } from "../kserve/predictor-pods";
import { conditionOf, loadFailureOf } from "../kserve/service-state";
import { troubleOf } from "../kserve/troubles";
import { foreignText } from "../support/foreign-text";
import type { ChainStep } from "./published";

/** KServe's name of the container that fetches a model, and of the one that serves it. */
const DOWNLOAD = "storage-initializer";
const SERVER = "kserve-container";

/** What is known of one version's way to its first answer. */
export interface ChainFacts {
  /** When its last delivery came to this process, in Unix milliseconds. */
  readonly deliveredAt: number | undefined;
  readonly live: LiveInferenceService | undefined;
  /** Its newest pod. */
  readonly pod: PredictorPod | undefined;
}

/** The steps from the tag to Ready, each with its time where it was come to, and with what went wrong there. */
export function chainOf({ deliveredAt, live, pod }: ChainFacts): ChainStep[] {
  // Most deliveries come to other processes than the one that shows this.
  const delivery: ChainStep[] = deliveredAt === undefined ? [] : [{ step: "delivery", at: deliveredAt }];
  const download = pod?.status.initContainerStatuses.find(({ name }) => name === DOWNLOAD)?.state;
  const server = pod?.status.containerStatuses.find(({ name }) => name === SERVER)?.state;
  const scheduled = pod?.status.conditions.find(({ type }) => type === "PodScheduled");
  const failure = live && loadFailureOf(live);
  const ready = live && conditionOf(live, "Ready");
  const serverProblem =
    server?.waiting?.reason === "CrashLoopBackOff" ? "its model server ends again and again" : undefined;
  const hasDownloaded = download?.terminated?.exitCode === 0;
  return [
    ...delivery,
    step("apply", live && appliedAt(live)),
    step(
      "pod",
      timeOf(pod?.metadata.creationTimestamp),
      (live && troubleOf(live)?.message) ??
        (scheduled?.status === "False" ? foreignText(scheduled.message) : undefined),
    ),
    step(
      "download",
      hasDownloaded ? timeOf(download.terminated?.finishedAt) : undefined,
      hasDownloaded ? undefined : failure,
    ),
    step("load", timeOf(server?.running?.startedAt), hasDownloaded ? (failure ?? serverProblem) : undefined),
    step("ready", ready?.status === "True" ? timeOf(ready.lastTransitionTime) : undefined),
  ];
}

function step(name: ChainStep["step"], at: number | undefined, problem?: string): ChainStep {
  return { step: name, ...(at === undefined ? {} : { at }), ...(problem === undefined ? {} : { problem }) };
}

/** When this module applied it last. */
function appliedAt({ metadata: { managedFields, creationTimestamp } }: LiveInferenceService): number | undefined {
  const times = managedFields
    .filter(({ manager }) => manager === FIELD_MANAGER)
    .flatMap(({ time }) => timeOf(time) ?? []);
  return times.length === 0 ? timeOf(creationTimestamp) : Math.max(...times);
}

function timeOf(text: string | null | undefined): number | undefined {
  const time = Date.parse(text ?? "");
  return Number.isNaN(time) ? undefined : time;
}
