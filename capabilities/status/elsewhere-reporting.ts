import { MANAGED_BY, MANAGED_BY_LABEL } from "../kserve/identity";
import type { EventRecorder } from "../kubernetes/events";
import type { Log } from "../observability/logging";
import type { Metrics } from "../observability/metrics";
import type { Because } from "../reconciliation/former-namespace-judgement";
import type { ElsewhereReport, FoundElsewhere } from "../reconciliation/former-namespaces";

const FORMER = "MLFLOW_KSERVE_FORMER_NAMESPACES";
const POLICY = "MLFLOW_KSERVE_FORMER_NAMESPACE_SERVICES";

/** What is said of services that are there for a reason, with what can be done; NAMESPACE stands for one of several. */
const SAID: Readonly<Record<Because, (namespace: string) => string>> = {
  unnamed: namespace =>
    "nobody looks after them unless another installation does. If they are this one's from before " +
    `KUBE_NAMESPACE was changed, name ${namespace} in ${FORMER} with ${POLICY}=move or remove, or remove them by ${deleteCommand(namespace)}`,
  kept: namespace =>
    `kept, nobody looks after them; set ${POLICY} to move or remove, or remove them by ${deleteCommand(namespace)}`,
  waiting: () => "they go once the same version's service in KUBE_NAMESPACE is Ready",
  untagged: namespace =>
    `left, because MLflow does not want these versions served any more; set ${POLICY}=remove, or remove them by ${deleteCommand(namespace)}`,
  doubtful: () => "left, because they carry our label but not our annotations and name; look at them yourself",
  others: namespace => `left, because another installation looks after them; take ${namespace} out of ${FORMER}`,
  forbidden: namespace =>
    `the module may not remove them; let its ServiceAccount get and delete inferenceservices in ${namespace} (k8s/README.md)`,
};

function deleteCommand(namespace: string): string {
  return `kubectl delete inferenceservices -n ${namespace} -l ${MANAGED_BY_LABEL}=${MANAGED_BY}`;
}

/** What is said of all that was found elsewhere, or undefined when there is nothing that a person has to know. */
export function describeElsewhere({ found, unreadable }: ElsewhereReport, namespace: string): string | undefined {
  const reasons = [...new Set(found.map(({ because }) => because))].filter(because => because !== "waiting");
  const sentences = reasons.map(because => {
    const groups = found.filter(group => group.because === because);
    const [first, ...others] = groups.map(group => group.namespace);
    const where = first !== undefined && others.length === 0 ? first : "NAMESPACE";
    return `${groups.map(inWords).join(", ")}: ${SAID[because](where)}`;
  });
  if (unreadable.length > 0) {
    const cure = "let the module's ServiceAccount list inferenceservices there (k8s/README.md)";
    sentences.push(`${unreadable.join(", ")} may not be looked into; ${cure}`);
  }
  if (sentences.length === 0) return undefined;
  return `InferenceServices are in other namespaces than ${namespace}. ${sentences.join(". ")}`;
}

function inWords({ namespace, count, first }: FoundElsewhere): string {
  return `${namespace} has ${count} (${first.join(", ")}${count > first.length ? ", …" : ""})`;
}

export interface ElsewhereReporterOptions {
  /** KUBE_NAMESPACE. */
  readonly namespace: string;
  readonly record: EventRecorder;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "servicesElsewhere">;
}

/**
 * Tells of services elsewhere when something about them has changed: another namespace, or another reason; that there are
 * more or fewer of them is for the metric.
 */
export function createElsewhereReporter(options: ElsewhereReporterOptions): (report: ElsewhereReport) => void {
  const { namespace, record, log, metrics } = options;
  let last = stateOf({ found: [], unreadable: [] });
  return report => {
    const ours = report.found.filter(({ because }) => because !== "doubtful");
    metrics.servicesElsewhere(ours.reduce((sum, { count }) => sum + count, 0));
    const state = stateOf(report);
    if (state === last) return;
    last = state;
    const message = describeElsewhere(report, namespace);
    if (message !== undefined) {
      log.warn({ found: report.found, unreadable: report.unreadable }, message);
      record({ type: "Warning", reason: "ServicesElsewhere", message });
    } else if (report.found.length > 0) {
      log.info({ found: report.found }, "InferenceServices are being moved from former namespaces");
    } else {
      log.info({}, "No InferenceServices of ours are in other namespaces any more");
    }
  };
}

function stateOf({ found, unreadable }: ElsewhereReport): string {
  return JSON.stringify([found.map(group => [group.namespace, group.because]), unreadable]);
}
