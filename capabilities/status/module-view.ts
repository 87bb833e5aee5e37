import type { Health, ModuleStatus } from "../observability/health";
import type { DeliveryReport } from "./delivery-history";
import type { ModuleItem } from "./published";
import { webhookItem } from "./webhook-item";

/** What the module knows of itself. */
export interface ModuleFacts {
  readonly health: Health;
  readonly status: Pick<ModuleStatus, "lastSuccessfulPoll">;
  /** What the processes say that take deliveries; undefined when they are not asked. */
  readonly deliveryReports: readonly DeliveryReport[] | undefined;
  /** Milliseconds from one poll to the next. */
  readonly pollingInterval: number;
  /** What the last poll found that somebody may have to act on, each with the cure; undefined when there is nothing. */
  readonly held: string | undefined;
  readonly rollout: string | undefined;
  /** What keeps status tags from being written, each a sentence; undefined where they are switched off. */
  readonly statusTags: readonly string[] | undefined;
}

/** Polls that may fail until that is bad rather than a moment's trouble. */
const POLLS_MISSED = 3;

/**
 * How the module is, one thing after the other, each with what to do where it is not well.
 *
 * @param now Unix milliseconds
 */
export function moduleItems(facts: ModuleFacts, now: number): ModuleItem[] {
  const { health, held, rollout, statusTags } = facts;
  return [
    reachable(
      "MLflow",
      health.mlflowConnected,
      "see that it runs, and MLFLOW_KSERVE_MLFLOW_TRACKING_URI; the log has the cause",
    ),
    reachable(
      "API server",
      health.kubernetesConnected,
      "see the log for the cause, mostly rights of the ServiceAccount",
    ),
    webhookItem(facts.deliveryReports),
    pollItem(facts, now),
    held === undefined
      ? { name: "Held deletions", health: "good", value: "none" }
      : { name: "Held deletions", health: "warning", value: firstSentence(held), advice: held },
    rollout === undefined
      ? { name: "Rollout", health: "good", value: "all services are up to date" }
      : { name: "Rollout", health: "warning", value: firstSentence(rollout), advice: rollout },
    statusTags === undefined
      ? { name: "Status tags", health: "good", value: "switched off (MLFLOW_KSERVE_STATUS_TAGS)" }
      : statusTags.length === 0
        ? { name: "Status tags", health: "good", value: "written to MLflow" }
        : { name: "Status tags", health: "warning", value: "not all can be written", advice: statusTags.join("; ") },
  ];
}

function reachable(name: string, isReachable: boolean, advice: string): ModuleItem {
  return isReachable
    ? { name, health: "good", value: "answers" }
    : { name, health: "bad", value: "does not answer, so nothing changes", advice };
}

function pollItem({ status: { lastSuccessfulPoll }, pollingInterval }: ModuleFacts, now: number): ModuleItem {
  const name = "Last poll";
  const advice =
    "the log says why it failed (Poll failed); what MLflow wants is compared with the cluster when it succeeds";
  if (lastSuccessfulPoll === undefined) return { name, health: "bad", value: "none has succeeded yet", advice };
  const age = Math.max(0, now - lastSuccessfulPoll.getTime());
  const value = `${Math.round(age / 1000)} s ago`;
  return age > POLLS_MISSED * pollingInterval
    ? { name, health: "bad", value, advice }
    : { name, health: "good", value };
}

/** The beginning of a message, up to its first full stop or colon. */
function firstSentence(message: string): string {
  return /^[^.:]*/.exec(message)?.[0] ?? message;
}
