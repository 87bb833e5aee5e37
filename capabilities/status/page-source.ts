import { serves } from "../kserve/identity";
import type { InferenceServices } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { newestPod } from "../kserve/predictor-pods";
import { servedModelName } from "../kserve/served-model";
import type { ApiServer } from "../kubernetes/api-server";
import type { MlflowReader, ModelVersion } from "../mlflow/client";
import type { Health, ModuleStatus } from "../observability/health";
import { createLastHour } from "../observability/last-hour";
import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";
import { withoutSecrets } from "../support/foreign-text";
import type { ModelVersionKey } from "../support/model-version-key";
import { recentAnswer } from "../support/recent-answer";
import type { SignatureInput, SignatureReader } from "../mlflow/model-signature";
import { chainOf } from "./chain";
import { createDeliveryHistory } from "./delivery-history";
import type { DeliveryReport } from "./delivery-history";
import { moduleItems } from "./module-view";
import { predictionRequest } from "./prediction-request";
import { STATE_WORDS } from "./published";
import type { PageSource, PublishedVersion, StateWord, VersionDetail } from "./published";
import type { Publishing } from "./publishing";

export interface PageSourceOptions {
  readonly publishing: Pick<Publishing, "versions" | "history" | "known" | "deliveredAt" | "concerns" | "isComplete">;
  readonly apiServer: ApiServer;
  readonly services: Pick<InferenceServices, "get" | "namespace">;
  readonly mlflow: Pick<MlflowReader, "getModelVersion" | "getRun">;
  readonly readSignature: SignatureReader;
  /** Where people reach MLflow's pages; undefined when nobody said. */
  readonly mlflowPublicUrl: string | undefined;
  readonly health: () => Promise<Health>;
  readonly status: () => Pick<ModuleStatus, "lastSuccessfulPoll">;
  /** What the processes say that take deliveries, never rejected; undefined when nobody said where they are. */
  readonly deliveryReports: (() => Promise<DeliveryReport[]>) | undefined;
  /** Milliseconds from one poll to the next. */
  readonly pollingInterval: number;
  readonly log: Log;
}

/** Milliseconds. */
const MINUTE = 60_000;

/** Milliseconds for which what those processes said is good enough, however many look. */
const HEARD_LATELY = 5_000;

/** All that the page shows, from what the process that polls knows; single versions are read when somebody looks at them. */
export function createPageSource(options: PageSourceOptions): PageSource & { readonly stop: () => void } {
  const { publishing, apiServer, services, mlflow, log } = options;

  const counts = (): Record<StateWord, number> => {
    const found = Object.fromEntries(STATE_WORDS.map(word => [word, 0])) as Record<StateWord, number>;
    for (const { state } of publishing.versions.snapshot().versions) found[state.word]++;
    return found;
  };
  const [states, deliveries] = [createLastHour(), createDeliveryHistory()];
  const { deliveryReports } = options;
  const hear =
    deliveryReports &&
    recentAnswer(HEARD_LATELY, async () => {
      const reports = await deliveryReports();
      deliveries.observe(reports);
      return reports;
    });
  // What they have counted until now is not of this hour.
  void hear?.();
  const endMinute = async (): Promise<void> => {
    states.add(counts());
    if (hear === undefined) return;
    await hear();
    deliveries.endMinute();
  };
  const timer = setInterval(() => void endMinute(), MINUTE);
  timer.unref();

  /** What is missing is not shown; the rest is. */
  const orNothing = async <T>(reading: Promise<T>): Promise<T | undefined> => {
    try {
      return await reading;
    } catch (error) {
      log.debug({ cause: messageOf(error) }, "Something that the page shows could not be read");
      return undefined;
    }
  };

  const pagesOf = async ({ model, version, runId }: ModelVersion): Promise<Partial<VersionDetail>> => {
    if (options.mlflowPublicUrl === undefined) return {};
    const base = options.mlflowPublicUrl.replace(/\/+$/, "");
    const versionPage = `${base}/#/models/${encodeURIComponent(model)}/versions/${encodeURIComponent(version)}`;
    const run = runId === "" ? undefined : await orNothing(mlflow.getRun(runId));
    if (run === undefined) return { versionPage };
    const [experiment, ofRun] = [run.experimentId, runId].map(encodeURIComponent);
    return { versionPage, runPage: `${base}/#/experiments/${experiment}/runs/${ofRun}` };
  };

  const detailOf = async (key: ModelVersionKey): Promise<VersionDetail | undefined> => {
    const known = publishing.known(key);
    const published = known && publishing.versions.describe(known);
    if (published === undefined) return undefined;
    const name = published.inferenceService;
    const [version, signature, found, newest] = await Promise.all([
      orNothing(mlflow.getModelVersion(key)),
      orNothing(options.readSignature(key)),
      name === undefined ? undefined : orNothing(services.get(name)),
      name === undefined ? undefined : orNothing(newestPod(apiServer, services.namespace, name)),
    ]);
    // Somebody else's may have the name.
    const isOwn = found !== undefined && serves(found.metadata, key);
    const [live, pod] = isOwn ? [found, newest] : [];
    return {
      ...published,
      chain: chainOf({ deliveredAt: publishing.deliveredAt(key), live, pod }),
      labels: live?.metadata.labels ?? {},
      request: requestOf(published, signature, live),
      ...(version === undefined
        ? {}
        : {
            source: withoutSecrets(version.source),
            ...(version.runId === "" ? {} : { runId: version.runId }),
            ...(await pagesOf(version)),
          }),
    };
  };

  return {
    isComplete: publishing.isComplete,
    snapshot: publishing.versions.snapshot,
    since: publishing.versions.since,
    subscribe: publishing.versions.subscribe,
    history: publishing.history,
    detail: detailOf,
    async moduleView() {
      const [health, reports] = await Promise.all([options.health(), hear?.()]);
      const facts = {
        health,
        status: options.status(),
        deliveryReports: reports,
        pollingInterval: options.pollingInterval,
        ...publishing.concerns(),
      };
      return { items: moduleItems(facts, Date.now()), ...deliveries.series(), states: states.series() };
    },
    stop() {
      clearInterval(timer);
    },
  };
}

function requestOf(
  { state }: PublishedVersion,
  signature: readonly SignatureInput[] | undefined,
  live: LiveInferenceService | undefined,
): VersionDetail["request"] {
  if (state.url === undefined || live === undefined || signature === undefined) return undefined;
  return predictionRequest(signature, state.url, servedModelName(live));
}
