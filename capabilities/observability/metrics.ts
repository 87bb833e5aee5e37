import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Mode } from "./health";

/** What {@link Metrics.render} is written in. */
export const METRICS_CONTENT_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE;

// Label values are bounded: whatever is not in these lists is counted as "other", so that nobody who sends us something
// can make new time series.
const ENTITIES = [
  ...["registered_model", "model_version", "model_version_tag", "model_version_alias"],
  ...["prompt", "prompt_version", "prompt_tag", "prompt_version_tag", "prompt_alias", "budget_policy"],
];
/** What happens to model version tags. */
const TAG_ACTIONS = ["set", "deleted"];
const ACTIONS = [...TAG_ACTIONS, "created", "updated", "exceeded"];
/** What a reconcile did; of one that failed, `reconcile` is counted, as it is not known what it would have done. */
const DONE = ["create", "update", "delete", "unchanged", "held", "ignored"];
const OPERATIONS = [...DONE, "reconcile"];
const FAILURES = ["conflict", "refused", "rejected", "mlflow_error", "kubernetes_error", "error"];
const RESULTS = ["success", ...FAILURES];
const MLFLOW_ERRORS = ["unreachable", "unauthorized", "refused", "unexpected"];
const KUBERNETES_ERRORS = [
  ...["BadRequest", "Unauthorized", "Forbidden", "NotFound", "AlreadyExists", "Conflict", "BeingDeleted", "Expired"],
  ...["Invalid", "TooManyRequests", "InternalError", "ServiceUnavailable", "Timeout", "ServerTimeout"],
  ...["NoAnswer", "NotJson", "UnknownForm"],
];
const REJECTIONS = [
  ...["unsupported_media_type", "missing_header", "too_large", "unauthenticated", "malformed"],
  ...["overloaded", "shutting_down"],
] as const;
export const DELIVERY_RESULTS = ["success", "ignored", "refused", "rejected", "error"] as const;
const LAG_RESULTS = ["caught_up", "unresolved"] as const;
const STATES = ["Starting", "Ready", "Failed", "Stopping"] as const;
const TAG_WRITES = ["success", "denied", "error"] as const;
const UNWRITTEN = ["denied", "foreign", "contested"] as const;
export const MODES: readonly Mode[] = ["starting", "propagating", "webhook", "polling", "fallback"];

/** Seconds; a delivery that takes 30 has been given up by MLflow. */
const PROCESSING_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** Seconds; large models take long to be fetched and loaded. */
const READY_BUCKETS = [1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600];

export type RejectionReason = (typeof REJECTIONS)[number];

/**
 * How a delivery was answered: `success` and `ignored` with 200, the latter where it does not concern deployments;
 * `refused` with 409 or 422, since the version cannot be served as it is; `rejected` with another 4xx, before it was
 * looked into; `error` with 429 or 5xx, after which MLflow tries again.
 */
export type DeliveryResult = (typeof DELIVERY_RESULTS)[number];

/**
 * How it ended that MLflow answered otherwise than its own event had said: it came to agree within seconds (`caught_up`), or
 * not (`unresolved`).
 */
export type LagResult = (typeof LAG_RESULTS)[number];

/** How it ended that a status tag was written to MLflow; `denied` when its user has not the right. */
export type StatusTagWrite = (typeof TAG_WRITES)[number];

/** What has not the status tags that it should have: models without the right, versions with tags of others. */
export type UnwrittenStatusTags = Readonly<Record<(typeof UNWRITTEN)[number], number>>;

/** InferenceServices by state. */
export type ServiceCounts = Readonly<Record<(typeof STATES)[number], number>>;

/** Services of which the last poll found something that somebody may have to act on. */
export interface FleetCounts {
  /** To be deleted, and kept for now. */
  readonly deletionsHeld: number;
  /** Made from a former template or setting, and waiting for their turn. */
  readonly outdated: number;
  /** Brought up to date, and not Ready in time: the rollout has stopped for them. */
  readonly rolloutsStuck: number;
}

/** What the module tells a Prometheus. None of these throws. */
export interface Metrics {
  /** A delivery is being answered. Not for MLflow's test deliveries. */
  deliveryAnswered: (result: DeliveryResult) => void;
  /** A delivery that MLflow signed, test deliveries excepted; entity and action as the event has them. */
  eventReceived: (entity: string, action: string) => void;
  /** A delivery that was not looked into. */
  deliveryRejected: (reason: RejectionReason) => void;
  /**
   * Something was done, or tried, about one InferenceService.
   *
   * @param operation create, update, delete, unchanged, ignored, or reconcile where it failed before that was decided
   * @param status success, conflict (a foreign object has the name), refused, rejected (by the API server: validation,
   *   admission, quota), mlflow_error, kubernetes_error or error
   */
  operation: (operation: string, status: string) => void;
  /** Seconds that the work for one delivery took, the time in the queue included. */
  processed: (seconds: number) => void;
  /** A call of MLflow failed; `kind` as MlflowError has it. */
  mlflowError: (kind: string) => void;
  /** A request to the API server failed; `reason` as KubernetesError has it. */
  kubernetesError: (reason: string) => void;
  laggingRead: (result: LagResult) => void;
  statusTagWritten: (result: StatusTagWrite) => void;
  unwrittenStatusTags: (counts: UnwrittenStatusTags) => void;
  pollSucceeded: (at: Date) => void;
  /** What the last poll found about many services together. */
  fleet: (counts: FleetCounts) => void;
  /** Services of ours that were found in other namespaces than KUBE_NAMESPACE. */
  servicesElsewhere: (count: number) => void;
  /** Seconds until a new service was Ready, from its creation: not from the tag, whose moment MLflow does not keep. */
  tagToReady: (seconds: number) => void;
  setMode: (mode: Mode) => void;
  /** Asked at each scrape: model versions that wait or are worked on. */
  observeQueue: (depth: () => number) => void;
  /** Asked at each scrape: our services by state; undefined as long as that is not known. */
  observeServices: (counts: () => ServiceCounts | undefined) => void;
  /** All of them in Prometheus' text format. */
  render: () => Promise<string>;
}

/** Metrics with a registry of their own, so that they do not mix with Pepr's. */
export function createMetrics(): Metrics {
  const registers = [new Registry()];
  const [registry] = registers as [Registry];
  const counter = <T extends string>(name: string, help: string, labelNames: T[]): Counter<T> =>
    new Counter({ name, help, labelNames, registers });

  const answered = counter("webhook_deliveries_total", "Deliveries answered, by result; no test deliveries.", [
    "result",
  ]);
  const events = counter("webhook_events_total", "Signed deliveries by entity and action; no test deliveries.", [
    "entity",
    "action",
  ]);
  const rejected = counter("webhook_deliveries_rejected_total", "Deliveries that were not looked into, by reason.", [
    "reason",
  ]);
  const operations = counter("inference_service_operations_total", "What was done about InferenceServices.", [
    "operation",
    "status",
  ]);
  const mlflowErrors = counter(
    "mlflow_api_errors_total",
    "Calls of MLflow that failed, by kind, but for those that write status tags.",
    ["kind"],
  );
  const kubernetesErrors = counter(
    "kubernetes_api_errors_total",
    "Requests to the API server that failed, by reason.",
    ["reason"],
  );
  const lagging = counter(
    "mlflow_lagging_reads_total",
    "Times that MLflow answered otherwise than its own event had said, by whether it came to agree.",
    ["result"],
  );
  const tagWrites = counter("status_tag_writes_total", "Status tags written to MLflow, or tried to be, by result.", [
    "result",
  ]);
  const unwritten = new Gauge({
    name: "status_tags_unwritten",
    help: "Models (denied) and versions (foreign, contested) without the status tags in MLflow that they should have.",
    labelNames: ["reason"],
    registers,
  });
  const processing = new Histogram({
    name: "webhook_processing_duration_seconds",
    help: "Time from a delivery to the acknowledged change.",
    buckets: PROCESSING_BUCKETS,
    registers,
  });
  const ready = new Histogram({
    name: "tag_to_ready_duration_seconds",
    help: "Time from the creation of an InferenceService to its first Ready; what went before, from the tag, is not in it.",
    buckets: READY_BUCKETS,
    registers,
  });
  const poll = new Gauge({
    name: "poll_last_success_timestamp_seconds",
    help: "When a poll succeeded last, in Unix time.",
    registers,
  });
  // A process that has not polled has no such time; 1970 would raise every alarm.
  poll.remove();
  const held = new Gauge({
    name: "inference_service_deletions_held",
    help: "InferenceServices that are to be deleted, and are kept for now because that looks like a mistake.",
    registers,
  });
  const outdated = new Gauge({
    name: "inference_services_outdated",
    help: "InferenceServices made from a former template or setting, which wait for their turn in the rollout.",
    registers,
  });
  const stuck = new Gauge({
    name: "inference_service_rollouts_stuck",
    help: "InferenceServices that were brought up to date and did not become Ready in time, for which the rollout stopped.",
    registers,
  });
  const elsewhere = new Gauge({
    name: "inference_services_elsewhere",
    help: "InferenceServices of the module in other namespaces than its target namespace, where nobody may look after them.",
    registers,
  });
  // Not known before it was looked for.
  elsewhere.remove();
  const mode = new Gauge({
    name: "listener_mode",
    help: "1 for the mode in which the module works.",
    labelNames: ["mode"],
    registers,
  });

  // The name that Prometheus' client libraries give it.
  new Gauge({
    name: "process_start_time_seconds",
    help: "When the process started, in Unix time.",
    registers,
  }).set(Date.now() / 1000 - process.uptime());

  // Present from the start: what is counted for the first time would else be no increase.
  for (const action of TAG_ACTIONS) events.inc({ entity: "model_version_tag", action }, 0);
  events.inc({ entity: "model_version", action: "created" }, 0);
  for (const result of DELIVERY_RESULTS) answered.inc({ result }, 0);
  for (const reason of REJECTIONS) rejected.inc({ reason }, 0);
  for (const result of LAG_RESULTS) lagging.inc({ result }, 0);
  for (const result of TAG_WRITES) tagWrites.inc({ result }, 0);
  for (const kind of MLFLOW_ERRORS) mlflowErrors.inc({ kind }, 0);
  for (const reason of KUBERNETES_ERRORS) kubernetesErrors.inc({ reason }, 0);
  for (const operation of DONE) operations.inc({ operation, status: "success" }, 0);
  for (const status of FAILURES) operations.inc({ operation: "reconcile", status }, 0);
  const setMode = (now: Mode): void => {
    for (const one of MODES) mode.set({ mode: one }, one === now ? 1 : 0);
  };
  setMode("starting");

  return {
    deliveryAnswered: result => {
      answered.inc({ result });
    },
    eventReceived: (entity, action) => {
      events.inc({ entity: known(ENTITIES, entity), action: known(ACTIONS, action) });
    },
    deliveryRejected: reason => {
      rejected.inc({ reason });
    },
    operation: (operation, status) => {
      operations.inc({ operation: known(OPERATIONS, operation), status: known(RESULTS, status) });
    },
    processed: seconds => {
      if (Number.isFinite(seconds)) processing.observe(seconds);
    },
    mlflowError: kind => {
      mlflowErrors.inc({ kind: known(MLFLOW_ERRORS, kind) });
    },
    kubernetesError: reason => {
      kubernetesErrors.inc({ reason: known(KUBERNETES_ERRORS, reason) });
    },
    laggingRead: result => {
      lagging.inc({ result });
    },
    pollSucceeded: at => {
      poll.set(at.getTime() / 1000);
    },
    fleet: counts => {
      held.set(counts.deletionsHeld);
      outdated.set(counts.outdated);
      stuck.set(counts.rolloutsStuck);
    },
    statusTagWritten: result => {
      tagWrites.inc({ result });
    },
    unwrittenStatusTags: counts => {
      for (const reason of UNWRITTEN) unwritten.set({ reason }, counts[reason]);
    },
    servicesElsewhere: count => {
      elsewhere.set(count);
    },
    tagToReady: seconds => {
      // MLflow's clock may be ahead of the cluster's.
      if (Number.isFinite(seconds)) ready.observe(Math.max(0, seconds));
    },
    setMode,
    observeQueue: depth => {
      registry.removeSingleMetric("reconcile_queue_depth");
      new Gauge({
        name: "reconcile_queue_depth",
        help: "Model versions that wait to be reconciled, or are.",
        registers,
        collect() {
          this.set(depth());
        },
      });
    },
    observeServices: counts => {
      registry.removeSingleMetric("inference_services");
      new Gauge({
        name: "inference_services",
        help: "InferenceServices of the module by state.",
        labelNames: ["status"],
        registers,
        collect() {
          this.reset();
          const now = counts();
          if (now !== undefined) for (const status of STATES) this.set({ status }, now[status]);
        },
      });
    },
    render: () => registry.metrics(),
  };
}

function known(values: readonly string[], value: string): string {
  return values.includes(value) ? value : "other";
}
