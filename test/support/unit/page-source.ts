import type {
  ModuleView,
  PageSource,
  PublishedChange,
  PublishedVersion,
  StateChange,
  VersionDetail,
} from "../../../capabilities/status/published";
import type { ModelVersionKey } from "../../../capabilities/support/model-version-key";

/** What the status page shows, in memory, for a test to change. */
export interface MemoryPageSource extends PageSource {
  /** Makes or changes versions, and tells of each. */
  readonly put: (...versions: readonly PublishedVersion[]) => void;
  readonly remove: (...keys: readonly ModelVersionKey[]) => void;
  /** Forgets what changed until now, as after too many changes. */
  readonly forgetChanges: () => void;
  /** How many listen. */
  readonly listeners: () => number;
  /** Has the first poll come to its end. */
  readonly becomeComplete: () => void;
  /** How often a snapshot was taken. */
  readonly snapshots: () => number;
}

const idOf = ({ model, version }: ModelVersionKey): string => JSON.stringify([model, version]);

/** A source with these versions, of which all else is made up. */
export function memoryPageSource(
  initial: readonly PublishedVersion[],
  more: {
    readonly detail?: Partial<VersionDetail>;
    readonly moduleView?: Partial<ModuleView>;
    readonly history?: readonly StateChange[];
    /** No poll has come to its end yet. */
    readonly isNew?: boolean;
  } = {},
): MemoryPageSource {
  const versions = new Map(initial.map(version => [idOf(version), version]));
  const history: StateChange[] = [...(more.history ?? [])];
  const listeners = new Set<(change: PublishedChange) => void>();
  /** The revision at which each was last changed or removed. */
  const changedAt = new Map<string, { readonly revision: number; readonly key: ModelVersionKey }>();
  let [revision, oldest, snapshots] = [1, 1, 0];
  let isComplete = more.isNew !== true;

  const changed = (key: ModelVersionKey, after: PublishedVersion | undefined): void => {
    const before = versions.get(idOf(key))?.state.word;
    revision++;
    changedAt.set(idOf(key), { revision, key });
    if (after === undefined) versions.delete(idOf(key));
    else versions.set(idOf(key), after);
    history.unshift({ ...key, at: Date.now(), before, after: after?.state.word, cause: after?.state.cause });
    const change = { revision, changed: after === undefined ? [] : [after], removed: after === undefined ? [key] : [] };
    for (const listener of listeners) listener(change);
  };

  return {
    isComplete: () => isComplete,
    becomeComplete() {
      isComplete = true;
    },
    snapshot() {
      snapshots++;
      return { revision, versions: [...versions.values()] };
    },
    since(known) {
      if (known < oldest) return undefined;
      const keys = [...changedAt.values()].filter(change => change.revision > known).map(({ key }) => key);
      const found = keys.map(key => ({ key, version: versions.get(idOf(key)) }));
      return {
        revision,
        changed: found.flatMap(({ version }) => version ?? []),
        removed: found.filter(({ version }) => version === undefined).map(({ key }) => key),
      };
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    detail(key) {
      const version = versions.get(idOf(key));
      return Promise.resolve(version && { ...detailOf(version), ...more.detail });
    },
    moduleView: () => Promise.resolve({ ...MODULE_VIEW, ...more.moduleView }),
    history: () => history,
    put(...all) {
      for (const { model, version, ...rest } of all) changed({ model, version }, { model, version, ...rest });
    },
    remove(...keys) {
      for (const { model, version } of keys) changed({ model, version }, undefined);
    },
    forgetChanges() {
      oldest = revision;
    },
    listeners: () => listeners.size,
    snapshots: () => snapshots,
  };
}

/** One version, Ready unless changed. */
export function publishedVersion(
  key: ModelVersionKey,
  state: Partial<PublishedVersion["state"]> = {},
  namespace = "kserve-mlflow-models",
): PublishedVersion {
  const name = `mlflow-${key.model.toLowerCase().replace(/[^a-z0-9]+/g, "-")}-v${key.version}`;
  return {
    ...key,
    namespace,
    inferenceService: name,
    state: {
      word: "Ready",
      url: `https://${name}.${namespace}.models.example.com`,
      since: Date.now() - 90_000,
      ...state,
    },
  };
}

function detailOf(version: PublishedVersion): VersionDetail {
  const { url, since = Date.now() } = version.state;
  const start = since - 95_400;
  return {
    ...version,
    chain: [
      { step: "delivery", at: start },
      { step: "apply", at: start + 210 },
      { step: "pod", at: start + 2_400 },
      { step: "download", at: start + 41_000 },
      { step: "load", at: start + 90_000 },
      { step: "ready", at: since },
    ],
    labels: { team: "credit-risk", "app.kubernetes.io/part-of": "scoring" },
    source: `s3://mlflow-artifacts/12/models/m-4f1c/${version.model}`,
    runId: "0f7d1f8bb4a64b1d9d2d3f6a7f6f9f10",
    versionPage: `https://mlflow.example.com/#/models/${encodeURIComponent(version.model)}/versions/${version.version}`,
    runPage: "https://mlflow.example.com/#/experiments/12/runs/0f7d1f8bb4a64b1d9d2d3f6a7f6f9f10",
    ...(url === undefined
      ? {}
      : {
          request: {
            curl: `curl ${url}/v2/models/${version.model}/infer \\\n  -H 'Content-Type: application/json' \\\n  -d '{"inputs": [{"name": "input-0", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]}'`,
            python: `import requests\n\nanswer = requests.post(\n    "${url}/v2/models/${version.model}/infer",\n    json={"inputs": [{"name": "input-0", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]},\n)\nprint(answer.json())`,
          },
        }),
  };
}

const minutes = (value: (minute: number) => number): number[] => Array.from({ length: 60 }, (_, index) => value(index));

const MODULE_VIEW: ModuleView = {
  items: [
    { name: "Webhook", health: "good", value: "Registered, and proven by a test delivery 12 minutes ago" },
    { name: "Last poll", health: "good", value: "40 s ago, 1,000 versions in 3.2 s" },
    { name: "MLflow", health: "good", value: "Reached, 3.14.1" },
    { name: "Kubernetes", health: "good", value: "Reached, watch is open" },
    {
      name: "Held deletions",
      health: "warning",
      value: "3 services are kept although MLflow has no version for them",
      advice:
        "Half of all versions were gone at once: look whether MLFLOW_TRACKING_URI is right, then set FORCE_DELETIONS",
    },
    {
      name: "Credentials",
      health: "bad",
      value: "MLflow refuses the token of Secret mlflow-credentials since 10:31",
      advice: "Put a valid token into the Secret; it is read again within a minute",
    },
  ],
  deliveries: [
    { name: "success", values: minutes(minute => Math.round(6 + 5 * Math.sin(minute / 6))) },
    { name: "ignored", values: minutes(minute => (minute % 4 === 0 ? 3 : 1)) },
    { name: "refused", values: minutes(minute => (minute % 17 === 5 ? 2 : 0)) },
    { name: "error", values: minutes(minute => (minute > 40 && minute < 44 ? 5 : 0)) },
  ],
  deliverySeconds: [
    { name: "median", values: minutes(minute => (minute % 11 === 3 ? NaN : 0.12 + 0.06 * Math.sin(minute / 4))) },
  ],
  states: [
    { name: "Failed", values: minutes(minute => (minute > 40 ? 12 : 4)) },
    { name: "Starting", values: minutes(minute => Math.round(20 + 18 * Math.sin(minute / 9))) },
    { name: "Ready", values: minutes(minute => 120 + minute) },
  ],
};
