import { serves } from "../../capabilities/kserve/identity";
import { endpointName, inferenceServiceName } from "../../capabilities/kserve/names";
import type { ModelVersion } from "../../capabilities/mlflow/client";
import type { OwnedObject } from "./foreign-objects";
import type { Difference } from "./oracle";
import { isReadyObject, isWanted } from "./registry-wishes";
import type { Following } from "./registry-wishes";

/** A Service that is a model's endpoint. */
export interface EndpointService {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly selector?: Readonly<Record<string, string>> };
}

/** The version that an endpoint says it leads to, by the name of its InferenceService. */
export function servedBy({ metadata: { annotations = {} } }: EndpointService, namespace: string): string | undefined {
  const [model, version] = [annotations["mlflow.model"], annotations["mlflow.endpoint-version"]];
  return model === undefined || version === undefined ? undefined : inferenceServiceName({ model, version }, namespace);
}

/**
 * Endpoints that do not lead to a champion that is Ready, or that nobody wants any more and that have nothing behind them; by
 * rules of the test's own.
 */
export function endpointDifferences(
  endpoints: readonly EndpointService[],
  versions: readonly ModelVersion[],
  live: readonly OwnedObject[],
  {
    following,
    tagKey,
    namespace,
  }: { readonly following: Following; readonly tagKey: string; readonly namespace: string },
): Difference[] {
  const byName = new Map(live.map(object => [object.metadata.name, object]));
  const differences: Difference[] = [];
  const different = (name: string, detail: string): number => differences.push({ kind: "endpoint", name, detail });
  for (const [model, { champion }] of following) {
    const version = versions.find(one => one.model === model && one.version === champion);
    if (version === undefined || !isWanted(version, following, tagKey)) continue;
    const name = inferenceServiceName(version, namespace);
    const object = byName.get(name);
    if (object === undefined || !serves(object.metadata, version) || !isReadyObject(object)) continue;
    const endpoint = endpoints.find(({ metadata }) => metadata.name === endpointName(model));
    const app = endpoint?.spec.selector?.app;
    if (app !== `isvc.${name}-predictor`)
      different(endpointName(model), `leads to ${app ?? "nothing"}, should to ${name}`);
  }
  const served = new Set(live.map(({ metadata }) => metadata.annotations?.["mlflow.model"]));
  for (const { metadata } of endpoints) {
    const model = metadata.annotations?.["mlflow.model"] ?? "";
    if (!following.has(model) && !served.has(model))
      different(metadata.name, `${JSON.stringify(model)} has no endpoint`);
  }
  return differences;
}
