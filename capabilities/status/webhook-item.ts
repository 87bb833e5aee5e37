import type { Mode } from "../observability/health";
import type { DeliveryReport } from "./delivery-history";
import type { ModuleItem } from "./published";

const NAME = "Webhook";

/** What each mode means for whoever looks, and what to do about it; the worst first. */
const MODES: Readonly<Record<Mode, Omit<ModuleItem, "name">>> = {
  fallback: {
    health: "warning",
    value: "fallback: deliveries do not arrive, so tags take effect with the next poll",
    advice:
      "the log of pepr-mlflow-kserve (falling back to polling mode) has the cause, often a variable of MLflow's server",
  },
  starting: {
    health: "warning",
    value: "starting: the webhook is being registered in MLflow and proven, until then the poll does the work",
    advice:
      "nothing for the first minutes; if it lasts, the log of pepr-mlflow-kserve (Webhook is not proven) has the cause",
  },
  propagating: {
    health: "good",
    value:
      "propagating: deliveries arrive, but not yet from all of MLflow's processes; what they leave out is looked for within minutes",
  },
  polling: {
    health: "good",
    value:
      "polling: the settings want no webhook kept (MLFLOW_KSERVE_DISABLE_WEBHOOKS, or no MLFLOW_KSERVE_MLFLOW_WEBHOOK_URL)",
  },
  webhook: { health: "good", value: "webhook: deliveries arrive, as MLflow's own test deliveries have shown" },
};

const ORDER = Object.keys(MODES) as Mode[];

/** Problems that are told; the rest is mostly the same. */
const PROBLEMS_TOLD = 3;

/**
 * Whether MLflow's deliveries arrive: the worst of what the processes that take them say, and which of them say nothing.
 *
 * @param reports undefined when they are not asked, since nobody said where they are
 */
export function webhookItem(reports: readonly DeliveryReport[] | undefined): ModuleItem {
  if (reports === undefined) {
    return {
      name: NAME,
      health: "warning",
      value: "not known to this process",
      advice:
        "set MLFLOW_KSERVE_WEBHOOK_PODS_URL to where the pods that take deliveries answer (docs/page.md); until then GET /health there tells it",
    };
  }
  const total = reports.length;
  const problems = reports.flatMap(report => (report.problem === undefined ? [] : [report]));
  const heard = reports.flatMap(report => (report.problem === undefined ? [report] : []));
  const worst = ORDER.find(mode => heard.some(report => report.mode === mode));
  const saying = heard.filter(({ mode }) => mode === worst);
  const about = worst === undefined ? undefined : MODES[worst];

  const values = [
    ...(about === undefined ? [] : [about.value + (total > 1 ? ` (${saying.length} of ${total} pods)` : "")]),
    ...(problems.length === 0 ? [] : [unheard(problems.length, total)]),
  ];
  const advice = [
    ...(about?.advice === undefined ? [] : [saying.find(({ cause }) => cause !== undefined)?.cause ?? about.advice]),
    ...problems.slice(0, PROBLEMS_TOLD).map(({ name, problem }) => `${name}: ${problem}`),
  ];
  return {
    name: NAME,
    health: problems.length > 0 ? "warning" : (about?.health ?? "warning"),
    value: values.join("; "),
    ...(advice.length === 0 ? {} : { advice: advice.join("; ") }),
  };
}

function unheard(count: number, total: number): string {
  return total === 1
    ? "the pods that take deliveries do not answer"
    : `${count} of ${total} pods ${count === 1 ? "does" : "do"} not answer`;
}
