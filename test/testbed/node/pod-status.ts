import type { Container, Pod, PodCondition } from "./pod";

/** How a container ended. Times are Unix milliseconds. */
export interface Termination {
  readonly exitCode: number;
  /** Number of the signal that ended it, when one did. */
  readonly signal?: number;
  /** What it said at its end: with FallbackToLogsOnError the end of its log, otherwise nothing. */
  readonly message: string;
  readonly startedAt: number;
  readonly finishedAt: number;
}

/** What a container is doing. */
export type ContainerState =
  | { readonly kind: "waiting"; readonly reason: string; readonly message?: string }
  | { readonly kind: "running"; readonly startedAt: number }
  | { readonly kind: "terminated"; readonly end: Termination };

/** All that the node knows of one container. */
export interface ContainerRecord {
  readonly state: ContainerState;
  /** How it ended the last time, when it did. */
  readonly lastEnd?: Termination;
  readonly restarts: number;
  /** What its readiness probe says. */
  readonly ready: boolean;
}

/** Where a pod is, as its status tells it. */
export interface PodPlace {
  readonly podAddress: string;
  readonly nodeAddress: string;
  /** Unix milliseconds. */
  readonly startTime: number;
}

/** Before anything has been done about a container. */
export const NOT_STARTED: ContainerRecord = {
  state: { kind: "waiting", reason: "PodInitializing" },
  restarts: 0,
  ready: false,
};

/** The status that a kubelet would report for a pod whose containers are in these states. */
export function podStatus(
  pod: Pod,
  records: ReadonlyMap<string, ContainerRecord>,
  place: PodPlace,
  now: number,
): Record<string, unknown> {
  const recordOf = ({ name }: Container): ContainerRecord => records.get(name) ?? NOT_STARTED;
  const { initContainers = [], containers } = pod.spec;
  const initialized = initContainers.every(container => succeeded(recordOf(container).state));
  const ready = containers.every(container => recordOf(container).ready);
  const started = containers.every(container => {
    const { state, lastEnd } = recordOf(container);
    return state.kind !== "waiting" || lastEnd !== undefined;
  });
  const conditions = [
    condition("PodScheduled", true),
    condition("Initialized", initialized, "ContainersNotInitialized"),
    condition("ContainersReady", ready, "ContainersNotReady"),
    condition("Ready", ready, "ContainersNotReady"),
  ];
  return {
    phase: initialized && started ? "Running" : "Pending",
    hostIP: place.nodeAddress,
    podIP: place.podAddress,
    podIPs: [{ ip: place.podAddress }],
    startTime: time(place.startTime),
    conditions: conditions.map(entry => ({ ...entry, lastTransitionTime: transition(pod, entry, now) })),
    initContainerStatuses: initContainers.map(container =>
      containerStatus(container, recordOf(container), succeeded(recordOf(container).state)),
    ),
    containerStatuses: containers.map(container =>
      containerStatus(container, recordOf(container), recordOf(container).ready),
    ),
  };
}

function succeeded(state: ContainerState): boolean {
  return state.kind === "terminated" && state.end.exitCode === 0;
}

function condition(type: string, holds: boolean, otherwise = ""): PodCondition {
  return holds ? { type, status: "True" } : { type, status: "False", reason: otherwise };
}

function transition(pod: Pod, { type, status }: PodCondition, now: number): string {
  const before = pod.status?.conditions?.find(entry => entry.type === type && entry.status === status);
  return before?.lastTransitionTime ?? time(now);
}

function containerStatus(
  { name, image }: Container,
  { state, lastEnd, restarts }: ContainerRecord,
  ready: boolean,
): Record<string, unknown> {
  return {
    name,
    image,
    imageID: image,
    ready,
    started: state.kind === "running",
    restartCount: restarts,
    state: stateStatus(state),
    lastState: lastEnd ? { terminated: terminated(lastEnd) } : {},
  };
}

function stateStatus(state: ContainerState): Record<string, unknown> {
  switch (state.kind) {
    case "waiting":
      return { waiting: { reason: state.reason, ...(state.message !== undefined && { message: state.message }) } };
    case "running":
      return { running: { startedAt: time(state.startedAt) } };
    case "terminated":
      return { terminated: terminated(state.end) };
  }
}

function terminated({ exitCode, signal, message, startedAt, finishedAt }: Termination): Record<string, unknown> {
  return {
    exitCode,
    ...(signal !== undefined && { signal }),
    reason: exitCode === 0 ? "Completed" : "Error",
    ...(message !== "" && { message }),
    startedAt: time(startedAt),
    finishedAt: time(finishedAt),
  };
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, "Z");
}
