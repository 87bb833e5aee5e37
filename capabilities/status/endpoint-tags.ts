import { MlflowError } from "../mlflow/errors";
import type { ModelTags } from "../mlflow/model-tags";
import type { RegisteredModel } from "../mlflow/registered-models";
import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";
import type { EndpointState } from "../rollout/endpoint-decision";

/** What a model's endpoint is, as far as tags say it. */
export interface EndpointFacts {
  readonly state: EndpointState | undefined;
  /** Where it answers; undefined where nobody knows at the moment. */
  readonly url: string | undefined;
}

/** Tags of a registered model that say where its endpoint is, and which version gets how much of its traffic. */
export interface EndpointTags {
  /** Whether a model's tags say already what its endpoint is. */
  readonly areRight: (model: RegisteredModel, endpoint: EndpointFacts) => boolean;
  /** Writes what differs. Never rejects: what MLflow does not take is told once, and tried again by the next who asks. */
  readonly write: (model: RegisteredModel, endpoint: EndpointFacts) => Promise<void>;
}

export interface EndpointTagsOptions {
  readonly tags: ModelTags;
  /** What the keys begin with. */
  readonly prefix: string;
  /** Otherwise there are to be none. */
  readonly isEnabled: boolean;
  readonly log: Log;
}

export function createEndpointTags({ tags, prefix, isEnabled, log }: EndpointTagsOptions): EndpointTags {
  const endpointKey = `${prefix}.endpoint`;
  const trafficKey = `${prefix}.traffic`;
  let told: string | undefined;

  const changesOf = (
    { tags: actual }: RegisteredModel,
    { state, url }: EndpointFacts,
  ): [string, string | undefined][] => {
    const isServed = isEnabled && state !== undefined;
    const wanted: [string, string | undefined][] = [
      // Of a version that is not Ready the address is not known; it was told before.
      [endpointKey, isServed ? (url ?? actual.get(endpointKey)) : undefined],
      [trafficKey, isServed ? `v${state.version} 100%` : undefined],
    ];
    return wanted.filter(([key, value]) => actual.get(key) !== value);
  };

  return {
    areRight: (model, endpoint) => changesOf(model, endpoint).length === 0,

    async write(model, endpoint) {
      try {
        for (const [key, value] of changesOf(model, endpoint))
          await (value === undefined ? tags.delete(model.name, key) : tags.set(model.name, key, value));
        told = undefined;
      } catch (error) {
        const isDenied = error instanceof MlflowError && error.kind === "unauthorized";
        const cause = isDenied
          ? "MLflow does not let this module's user set or delete tags of registered models (403): give the user MANAGE on them"
          : messageOf(error);
        const level = told === cause ? "debug" : "warn";
        told = cause;
        log[level](
          { model: model.name, cause },
          `The tags ${endpointKey} and ${trafficKey} of a model could not be written`,
        );
      }
    },
  };
}
