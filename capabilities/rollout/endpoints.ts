import { keyOf, registryRecordOf } from "../kserve/identity";
import type { InferenceServices } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { endpointName } from "../kserve/names";
import { isReady } from "../kserve/service-state";
import { KubernetesError } from "../kubernetes/api-server";
import type { LiveService, Services } from "../kubernetes/services";
import type { MlflowReader } from "../mlflow/client";
import { deploys } from "../mlflow/deploy-tag";
import type { RegisteredModel, RegisteredModelReader } from "../mlflow/registered-models";
import type { Log } from "../observability/logging";
import type { ModelVersionKey } from "../support/model-version-key";
import { decideEndpoint, explainWait } from "./endpoint-decision";
import type { EndpointDecision, EndpointState, Objection } from "./endpoint-decision";
import {
  backendOf,
  endpointObject,
  endpointUrl,
  isAsWanted,
  isEndpointOf,
  placeOf,
  stateOfEndpoint,
} from "./endpoint-object";
import type { Backend } from "./endpoint-object";

/** Times that an endpoint is looked at anew where somebody changed it between our read and our write. */
const ATTEMPTS = 5;

/** An endpoint cannot be made, or not lead where it should, before somebody changes something. The message says what. */
export class EndpointError extends Error {
  override readonly name = "EndpointError";
}

/** What became of a model's endpoint. */
export interface EndpointOutcome {
  readonly action: "created" | "switched" | "updated" | "unchanged" | "deleted" | "none";
  readonly state: EndpointState | undefined;
  /** Where it answers; undefined where there is none, or nobody knows. */
  readonly url: string | undefined;
  /** Why it does not lead to the champion, and what to do. */
  readonly cause: string | undefined;
  /** The registered model as it was read; undefined where MLflow says that there is none. */
  readonly model: RegisteredModel | undefined;
}

type Done = Omit<EndpointOutcome, "model">;

const NOTHING_DONE: Done = { action: "none", state: undefined, url: undefined, cause: undefined };

export interface EndpointsOptions {
  readonly models: Pick<RegisteredModelReader, "getModel">;
  readonly mlflow: Pick<MlflowReader, "getModelVersion">;
  readonly inferenceServices: Pick<InferenceServices, "ofModel">;
  readonly services: Services;
  readonly deployTagKey: string;
  readonly championAlias: string;
  /** Milliseconds that the service of a former version stays. */
  readonly keepFormer: number;
  /**
   * Asked before an endpoint goes that nobody wants, with its model where MLflow has it: false keeps it for now, as where the
   * model still says that there is one.
   */
  readonly mayGo: (model: RegisteredModel | undefined) => Promise<boolean>;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now?: () => number;
}

/** The one address of each model that follows its aliases: a Service that selects the pods of the champion. */
export interface Endpoints {
  /**
   * Makes a model's endpoint what its aliases and the services of its versions say. Where MLflow says that the model is to
   * have none, it goes with the service of the version that it leads to, whose end has been decided with all evidence.
   *
   * @throws MlflowError, KubernetesError, EndpointError
   */
  readonly reconcile: (model: string) => Promise<EndpointOutcome>;
  /**
   * What a version's service is to its model's endpoint, and so may not go yet; undefined when nothing.
   *
   * @throws KubernetesError
   */
  readonly useOf: (key: ModelVersionKey) => Promise<"endpoint" | "former champion" | undefined>;
}

export function createEndpoints(options: EndpointsOptions): Endpoints {
  const { models, mlflow, inferenceServices, services, deployTagKey, championAlias, keepFormer, log } = options;
  const { mayGo, now = Date.now } = options;
  const { namespace } = services;

  /** What MLflow says against a version, or the record of the registry that its service came from. */
  const objectionTo = async (
    key: ModelVersionKey,
    live: LiveInferenceService | undefined,
  ): Promise<Objection | undefined> => {
    const version = await mlflow.getModelVersion(key);
    if (version === undefined) return "champion vetoed";
    if (version.tags.has(deployTagKey) && !deploys(version.tags.get(deployTagKey))) return "champion vetoed";
    const recorded = live && registryRecordOf(live.metadata)?.versionCreatedAt;
    const isOther = recorded !== undefined && version.createdAt !== 0 && recorded !== version.createdAt;
    return isOther ? "champion is another" : undefined;
  };

  /** @throws EndpointError where KServe tells of no pods that a Service could select */
  const findBackend = async (live: LiveInferenceService): Promise<{ backend: Backend; url: string }> => {
    const place = placeOf(live.status.address?.url);
    const about = `InferenceService ${namespace}/${live.metadata.name}`;
    if (place === undefined)
      throw new EndpointError(`${about} is Ready and tells no address in the cluster: look at its status.address`);
    const { url } = place;
    const service = await services.get(place.service);
    const backend = service && backendOf(service);
    if (backend !== undefined) return { backend, url };
    throw new EndpointError(
      `${about} answers at ${url}, which is no Service that selects pods, as in Knative mode: an endpoint needs ` +
        "KServe's Standard mode; use the address of the version until then",
    );
  };

  /** Whether the version goes that it leads to is decided elsewhere, with all evidence; until then, people may use it. */
  const remove = async (
    live: LiveService,
    model: RegisteredModel | undefined,
    versions: readonly LiveInferenceService[],
  ): Promise<Done> => {
    const state = stateOfEndpoint(live);
    const isUsed = versions.some(({ metadata }) => keyOf(metadata)?.version === state?.version);
    if (isUsed || !(await mayGo(model))) return { ...NOTHING_DONE, action: "unchanged", state };
    await services.delete(live);
    return { ...NOTHING_DONE, action: "deleted" };
  };

  const decideFor = async (
    model: string,
    registered: RegisteredModel,
    ready: ReadonlyMap<string, LiveInferenceService>,
    current: EndpointState | undefined,
  ): Promise<EndpointDecision> => {
    const champion = registered.aliases.get(championAlias);
    const mayMove = champion !== undefined && champion !== current?.version;
    return decideEndpoint({
      ...{ champion, current, keepFormer, now: now(), ready: new Set(ready.keys()) },
      objection: mayMove ? await objectionTo({ model, version: champion }, ready.get(champion)) : undefined,
    });
  };

  /** @throws EndpointError where the name is somebody else's, or cannot be used yet */
  const ownOf = (model: string, live: LiveService | undefined): LiveService | undefined => {
    if (live === undefined) return undefined;
    const about = `Service ${namespace}/${live.metadata.name}`;
    if (!isEndpointOf(live, model))
      throw new EndpointError(
        `${about} exists and is no endpoint of this model that the module made, so it is left untouched: delete or rename ` +
          "it, and the model gets its endpoint",
      );
    if (live.metadata.deletionTimestamp === undefined) return live;
    throw new EndpointError(`${about} is being deleted: it is made again when it is gone`);
  };

  const serve = async (
    registered: RegisteredModel,
    found: LiveService | undefined,
    versions: readonly LiveInferenceService[],
  ): Promise<Done> => {
    const { name: model } = registered;
    const ready = new Map<string, LiveInferenceService>();
    for (const one of versions) {
      const version = keyOf(one.metadata)?.version;
      if (version !== undefined && isReady(one) && one.metadata.deletionTimestamp === undefined)
        ready.set(version, one);
    }
    const current = found && isEndpointOf(found, model) ? stateOfEndpoint(found) : undefined;
    const { state, wait } = await decideFor(model, registered, ready, current);
    const cause = wait && explainWait(wait);
    // Nothing is needed yet, whoever has the name.
    if (state === undefined) return { ...NOTHING_DONE, cause };
    const live = ownOf(model, found);
    const target = ready.get(state.version);
    const place = target && (await findBackend(target));
    // Of a version that is not Ready, what is known stays.
    const backend = place?.backend ?? (live && backendOf(live));
    if (backend === undefined) return { ...NOTHING_DONE, state: current, cause };
    const wanted = endpointObject(model, namespace, state, backend);
    const done = { state, url: place && endpointUrl(model, place.url), cause };
    if (live !== undefined && isAsWanted(live, wanted)) return { action: "unchanged", ...done };
    await services.apply(wanted, live);
    if (current?.version === state.version) return { action: "updated", ...done };
    return { action: current === undefined ? "created" : "switched", ...done };
  };

  const attempt = async (model: string): Promise<EndpointOutcome> => {
    const [registered, live, found] = await Promise.all([
      models.getModel(model),
      services.get(endpointName(model)),
      inferenceServices.ofModel(model),
    ]);
    const versions = found.filter(({ metadata }) => keyOf(metadata)?.model === model);
    if (registered !== undefined && deploys(registered.tags.get(deployTagKey)))
      return { ...(await serve(registered, live, versions)), model: registered };
    const isOurs = live !== undefined && isEndpointOf(live, model);
    return { ...(isOurs ? await remove(live, registered, versions) : NOTHING_DONE), model: registered };
  };

  return {
    async reconcile(model) {
      for (let left = ATTEMPTS; ; left--) {
        try {
          const outcome = await attempt(model);
          tell(log, model, namespace, outcome);
          return outcome;
        } catch (error) {
          if (!(error instanceof KubernetesError)) throw error;
          if (error.status === 403)
            throw new EndpointError(`${error.message}: give the module the rights on Services that SECURITY.md names`, {
              cause: error,
            });
          if (left <= 1 || error.reason !== "Conflict") throw error;
        }
      }
    },

    async useOf({ model, version }) {
      const live = await services.get(endpointName(model));
      const state = live !== undefined && isEndpointOf(live, model) ? stateOfEndpoint(live) : undefined;
      if (state?.version === version) return "endpoint";
      const { former } = state ?? {};
      return former?.version === version && former.until > now() ? "former champion" : undefined;
    },
  };
}

function tell(log: Log, model: string, namespace: string, { action, state, url }: EndpointOutcome): void {
  if (action === "unchanged" || action === "none" || action === "updated") return;
  const fields = { model, version: state?.version, former: state?.former?.version, url, change: "endpoint" };
  const messages = { created: "Endpoint created", switched: "Endpoint switched", deleted: "Endpoint deleted" };
  log.info({ ...fields, service: `${namespace}/${endpointName(model)}` }, messages[action]);
}
