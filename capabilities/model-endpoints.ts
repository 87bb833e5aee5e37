import type { Configuration } from "./configuration/configuration";
import { MANAGED_BY, MANAGED_BY_LABEL } from "./kserve/identity";
import { FIELD_MANAGER } from "./kserve/inference-services";
import type { InferenceServices } from "./kserve/inference-services";
import type { LiveInferenceService } from "./kserve/live-inference-service";
import { endpointName } from "./kserve/names";
import { isReady } from "./kserve/service-state";
import { KubernetesError } from "./kubernetes/api-server";
import type { ApiServer } from "./kubernetes/api-server";
import type { EventRecorder } from "./kubernetes/events";
import { createServices } from "./kubernetes/services";
import type { LiveService } from "./kubernetes/services";
import type { MlflowReader } from "./mlflow/client";
import type { ModelTags } from "./mlflow/model-tags";
import { messageOf } from "./observability/logging";
import type { Log } from "./observability/logging";
import { createKeyedQueue } from "./reconciliation/keyed-queue";
import type { RemovalOptions } from "./reconciliation/removals";
import type { OnFound } from "./reconciliation/resync";
import { decideEndpoint } from "./rollout/endpoint-decision";
import {
  backendOf,
  ENDPOINT_LABEL,
  endpointObject,
  endpointUrl,
  isAsWanted,
  modelOfEndpoint,
  placeOf,
  stateOfEndpoint,
} from "./rollout/endpoint-object";
import { createEndpoints, EndpointError } from "./rollout/endpoints";
import type { KnownModels } from "./rollout/known-models";
import { createEndpointTags } from "./status/endpoint-tags";
import { BoundedCache } from "./support/bounded-cache";
import { inParallel } from "./support/in-parallel";
import type { ModelVersionKey } from "./support/model-version-key";

/** The versions of a model that are Ready, each with its address in the cluster. */
type ServedVersions = ReadonlyMap<string, string | undefined>;

type ServedModels = Map<string, Map<string, string | undefined>>;

/** What a poll saw of one model's endpoint. */
interface Seen {
  readonly live: LiveService | undefined;
  readonly served: ServedVersions | undefined;
  /** KServe's Services, by name. */
  readonly backends: ReadonlyMap<string, LiveService>;
}

const NO_ENDPOINT = { state: undefined, url: undefined };

/** Milliseconds until what the watch woke is tried again, each after the one before. */
const RETRIES: readonly number[] = [1_000, 5_000, 15_000];

/** Whether a model's endpoint is looked at only if the model follows its aliases. */
type Interest = "if it follows" | "in any case";

/** Endpoints that are worked on at the same time. */
const CONCURRENCY = 16;

/** Services whose last state is remembered, to tell when one becomes Ready, or stops being so. */
const CAPACITY = 50_000;

/** Milliseconds. */
const MINUTE = 60_000;

export interface ModelEndpointsOptions extends Pick<Configuration, "settings"> {
  readonly apiServer: ApiServer;
  readonly models: KnownModels;
  readonly mlflow: Pick<MlflowReader, "getModelVersion">;
  readonly inferenceServices: Pick<InferenceServices, "ofModel" | "namespace">;
  /** Writes the tags of models; in the one process that polls, and else undefined. */
  readonly modelTags: ModelTags | undefined;
  readonly record: EventRecorder;
  readonly log: Log;
}

/** The endpoints of all models, and what wakes them. */
export interface ModelEndpoints {
  /**
   * Makes one model's endpoint what it should be.
   *
   * @throws MlflowError or KubernetesError when that could not be found out or done
   */
  readonly reconcile: (model: string) => Promise<void>;
  readonly useOf: RemovalOptions["endpointUse"];
  /**
   * Follows one poll, and looks then at the endpoints that may differ: none is read by itself that is as it should be. What
   * fails at that fails no poll.
   *
   * @throws what the poll throws
   */
  readonly during: <T>(resync: (onFound: OnFound) => Promise<T>) => Promise<T>;
  readonly serviceSeen: (key: ModelVersionKey, live: LiveInferenceService) => void;
  readonly serviceGone: (key: ModelVersionKey) => void;
  readonly idle: () => Promise<void>;
}

export function createModelEndpoints(options: ModelEndpointsOptions): ModelEndpoints {
  const { settings, apiServer, models, mlflow, inferenceServices, modelTags, record, log } = options;
  const { namespace } = inferenceServices;
  const { CHAMPION_ALIAS: championAlias, STATUS_TAG_PREFIX: prefix, STATUS_TAGS: isEnabled } = settings;
  const keepFormer = settings.FORMER_CHAMPION_MINUTES * MINUTE;
  const services = createServices(apiServer, namespace, FIELD_MANAGER);
  const endpoints = createEndpoints({
    ...{ models: models.reader, mlflow, inferenceServices, services, championAlias, keepFormer, log },
    deployTagKey: settings.DEPLOY_TAG_KEY,
    // The process that writes the tags takes them off before: afterwards nobody looks at the model any more.
    mayGo: async model => tags !== undefined && (model === undefined || (await tags.write(model, NO_ENDPOINT))),
  });
  const tags = modelTags && createEndpointTags({ tags: modelTags, prefix, isEnabled, log });
  /** Whether this process has seen that there are endpoints. */
  let sawEndpoints = false;
  /** What was told last of a model whose endpoint is not as it should be. */
  const told = new Map<string, string>();
  const ready = new BoundedCache<boolean>(CAPACITY);
  let toldOfAll: string | undefined;

  const tell = (model: string, cause: string | undefined): void => {
    const before = told.get(model);
    if (before === cause) return;
    const about = { model, service: `${namespace}/${endpointName(model)}` };
    if (cause === undefined) {
      told.delete(model);
      log.info({ ...about, was: before }, "Endpoint is as it should be again");
      return;
    }
    told.set(model, cause);
    log.error({ ...about, cause }, "Endpoint is not as it should be, which is tried again");
    record({
      type: "Warning",
      reason: "EndpointFailed",
      message: `The endpoint of ${JSON.stringify(model)}: ${cause}`,
    });
  };

  /** Whether a model has the deploy tag, as it is known, or as MLflow says now. */
  const follows = async (model: string): Promise<boolean> => {
    if (models.mayFollow(model)) return true;
    await models.reader.getModel(model);
    return models.mayFollow(model);
  };

  const work = async (model: string, interest: Interest): Promise<void> => {
    // What fails at that is nothing about an endpoint; there may be none.
    if (interest === "if it follows" && !(await follows(model))) return;
    try {
      const outcome = await endpoints.reconcile(model);
      tell(model, undefined);
      if (outcome.model !== undefined) await tags?.write(outcome.model, outcome);
    } catch (error) {
      tell(model, messageOf(error));
      // Somebody has to change something first: to try again at once would not help.
      if (!(error instanceof EndpointError)) throw error;
    }
  };
  const queue = createKeyedQueue<string, undefined, Interest>({
    identity: model => model,
    concurrency: CONCURRENCY,
    merge: (one, other) => (one === "in any case" ? one : other),
    work: async (model, interest) => {
      await work(model, interest);
      return { result: undefined, confirm: () => Promise.resolve(true) };
    },
    onUnconfirmed: () => undefined,
  });
  const reconcile = async (model: string, interest: Interest = "in any case"): Promise<void> => {
    await queue.run(model, interest);
  };
  /** What failed is told already; it is tried again soon, and after that by each poll. */
  const wake = async (model: string, interest: Interest, [pause, ...later]: readonly number[] = []): Promise<void> => {
    try {
      await reconcile(model, interest);
    } catch {
      if (pause !== undefined) setTimeout(() => void wake(model, interest, later), pause).unref();
    }
  };

  const listEndpoints = async (): Promise<Map<string, LiveService>> => {
    const found = new Map<string, LiveService>();
    for (const live of await services.labelled(ENDPOINT_LABEL)) {
      const model = modelOfEndpoint(live);
      if (model !== undefined) found.set(model, live);
    }
    sawEndpoints ||= found.size > 0;
    return found;
  };

  /** KServe's Services for our InferenceServices, which have their labels; by name. */
  const listBackends = async (): Promise<Map<string, LiveService>> => {
    const all = await services.labelled(`${MANAGED_BY_LABEL}=${MANAGED_BY},!${ENDPOINT_LABEL}`);
    return new Map(all.map(live => [live.metadata.name, live]));
  };

  /** Whether an endpoint looks as it should; one about which something was told is always looked at. */
  const isInPlace = (model: string, { live, served = new Map(), backends }: Seen): boolean => {
    const registered = models.found().get(model);
    if (registered === undefined) {
      if (live === undefined) told.delete(model);
      return live === undefined;
    }
    if (told.has(model)) return false;
    const current = live && stateOfEndpoint(live);
    const champion = registered.aliases.get(championAlias);
    const facts = { champion, current, keepFormer, ready: new Set(served.keys()), now: Date.now() };
    // What speaks against it is looked at before anything is changed.
    const { state } = decideEndpoint({ ...facts, objection: undefined });
    if (state?.version !== current?.version) return false;
    const place = state && placeOf(served.get(state.version));
    const kserves = place && backends.get(place.service);
    const backend = (kserves && backendOf(kserves)) ?? (live && backendOf(live));
    const isSame =
      live === undefined || state === undefined || backend === undefined
        ? live === undefined
        : isAsWanted(live, endpointObject(model, namespace, state, backend));
    const url = place && endpointUrl(model, place.url);
    return isSame && (tags?.areRight(registered, { state, url }) ?? true);
  };

  return {
    reconcile,

    async useOf(key) {
      try {
        return await endpoints.useOf(key);
      } catch (error) {
        // Who never could see Services has no endpoints.
        if (!sawEndpoints && error instanceof KubernetesError && error.status === 403) return undefined;
        throw error;
      }
    },

    async during(resync) {
      const served: ServedModels = new Map();
      const resynced = await resync((key, live) => {
        if (!isServing(live)) return;
        const versions = served.get(key.model) ?? new Map<string, string | undefined>();
        served.set(key.model, versions.set(key.version, live.status.address?.url));
      });
      try {
        const found = await listEndpoints();
        const backends = found.size === 0 ? new Map<string, LiveService>() : await listBackends();
        const names = new Set([...models.found().keys(), ...found.keys(), ...told.keys()]);
        const seenOf = (model: string): Seen => ({ live: found.get(model), served: served.get(model), backends });
        const differing = [...names].filter(model => !isInPlace(model, seenOf(model)));
        await inParallel(differing, CONCURRENCY, model => wake(model, "in any case"));
        toldOfAll = undefined;
      } catch (error) {
        const cause = messageOf(error);
        if (cause !== toldOfAll) log.error({ cause }, "The endpoints of models cannot be read, which is tried again");
        toldOfAll = cause;
      }
      return resynced;
    },

    serviceSeen({ model }, live) {
      const { uid } = live.metadata;
      const before = ready.get(uid);
      const now = isServing(live);
      ready.set(uid, now);
      // What is seen for the first time is the poll's: at a start, that is everything.
      if (before === undefined || before === now) return;
      void wake(model, "if it follows", RETRIES);
    },

    serviceGone({ model }) {
      if (models.mayFollow(model)) void wake(model, "in any case", RETRIES);
    },

    idle: () => queue.idle(),
  };
}

function isServing(live: LiveInferenceService): boolean {
  return isReady(live) && live.metadata.deletionTimestamp === undefined;
}
