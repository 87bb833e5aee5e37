import { endpointName } from "../kserve/names";
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
  /**
   * Writes what differs. Never rejects: what MLflow does not take is told once, and tried again by the next who asks.
   *
   * @returns whether nothing is left that another try may write
   */
  readonly write: (model: RegisteredModel, endpoint: EndpointFacts) => Promise<boolean>;
}

export interface EndpointTagsOptions {
  readonly tags: ModelTags;
  /** What the keys begin with. */
  readonly prefix: string;
  /** Otherwise there are to be none. */
  readonly isEnabled: boolean;
  readonly log: Log;
  /** Milliseconds on a clock that only goes forward. */
  readonly now?: () => number;
}

/** The traffic as this module writes it. */
const TRAFFIC = /^v\d+ \d+%(, v\d+ \d+%)*$/;

/** Milliseconds after which a user who was denied a tag may have been given the right. */
const TRY_AGAIN = 600_000;

export function createEndpointTags(options: EndpointTagsOptions): EndpointTags {
  const { tags, prefix, isEnabled, log, now = () => performance.now() } = options;
  const endpointKey = `${prefix}.endpoint`;
  const trafficKey = `${prefix}.traffic`;
  let told: string | undefined;
  /** What MLflow denied, by model: each poll would ask for it again. */
  const denied = new Map<string, { readonly changes: string; readonly until: number }>();

  const changesOf = (model: RegisteredModel, { state, url }: EndpointFacts): [string, string | undefined][] => {
    const { tags: actual } = model;
    if (!isOwn(model)) return [];
    const isServed = isEnabled && state !== undefined;
    const wanted: [string, string | undefined][] = [
      // Of a version that is not Ready the address is not known; it was told before.
      [endpointKey, isServed ? (url ?? actual.get(endpointKey)) : undefined],
      [trafficKey, isServed ? `v${state.version} 100%` : undefined],
    ];
    return wanted.filter(([key, value]) => actual.get(key) !== value);
  };

  /** Whether a model's tags of these names, where there are any, are such as this module writes; else they are somebody's. */
  const isOwn = ({ name, tags: actual }: RegisteredModel): boolean => {
    const [address, traffic] = [actual.get(endpointKey), actual.get(trafficKey)];
    const isAddress =
      address === undefined ||
      (URL.canParse(address) && new URL(address).hostname.split(".")[0] === endpointName(name));
    return isAddress && (traffic === undefined || TRAFFIC.test(traffic));
  };

  return {
    areRight(model, endpoint) {
      const changes = changesOf(model, endpoint);
      const last = denied.get(model.name);
      const isDenied = last !== undefined && last.until > now() && last.changes === JSON.stringify(changes);
      return changes.length === 0 || isDenied;
    },

    async write(model, endpoint) {
      const changes = changesOf(model, endpoint);
      try {
        for (const [key, value] of changes)
          await (value === undefined ? tags.delete(model.name, key) : tags.set(model.name, key, value));
        denied.delete(model.name);
        return true;
      } catch (error) {
        const isDenied = error instanceof MlflowError && error.kind === "unauthorized";
        if (isDenied) denied.set(model.name, { changes: JSON.stringify(changes), until: now() + TRY_AGAIN });
        const cause = isDenied
          ? "MLflow does not let this module's user set or delete tags of registered models (403): give the user MANAGE on them"
          : messageOf(error);
        const level = told === cause ? "debug" : "warn";
        told = cause;
        log[level](
          { model: model.name, cause },
          `The tags ${endpointKey} and ${trafficKey} of a model could not be written`,
        );
        return isDenied;
      }
    },
  };
}
