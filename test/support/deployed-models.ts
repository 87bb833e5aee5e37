import { expect, inject } from "vitest";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { startListener, uniqueModel } from "./listener-fixture";
import type { ListenerFixtureOptions, RunningListener } from "./listener-fixture";
import { openRegistry } from "./mlflow-registry";
import type { MlflowRegistry } from "./mlflow-registry";
import { waitFor } from "./waiting";

/** A number of tagged models, all with their services, and the listener that made them. */
export interface Deployed {
  readonly keys: readonly ModelVersionKey[];
  readonly names: readonly string[];
  /** A tag that no other test has. */
  readonly tag: string;
  readonly rightful: RunningListener;
  readonly namespace: string;
  /** The MLflow that they were registered in. */
  readonly registry: MlflowRegistry;
}

/** Registers and tags models in the testbed's MLflow and has them deployed by a poll. */
export async function deployModels(
  count: number,
  settings: Readonly<Record<string, string>> = {},
  options: Omit<ListenerFixtureOptions, "settings"> = {},
): Promise<Deployed> {
  const registry = openRegistry(inject("mlflowTrackingUri"));
  const tag = uniqueModel("deploy");
  const keys = await Promise.all(
    Array.from({ length: count }, () => registry.register(uniqueModel("model"), "s3://models/x", { [tag]: "true" })),
  );
  const rightful = await startListener({ ...options, settings: { DEPLOY_TAG_KEY: tag, ...settings } });
  expect(await rightful.listener.poll()).toMatchObject({ created: count });
  await rightful.listener.idle();
  const names = keys.map(nameOf).sort();
  return { keys, names, tag, rightful, namespace: rightful.namespace, registry };
}

/** The name of a version's service, for a model whose name is one. */
export function nameOf({ model, version }: ModelVersionKey): string {
  return `mlflow-${model}-v${version}`;
}

/** Polls until a poll says so. */
export function pollUntil(
  { listener }: RunningListener,
  what: string,
  isSo: (report: NonNullable<Awaited<ReturnType<RunningListener["listener"]["poll"]>>>) => boolean,
  timeout?: number,
): Promise<void> {
  const probe = async (): Promise<true> => {
    const report = await listener.poll();
    if (report === undefined || !isSo(report)) throw new Error(`the last poll says ${JSON.stringify(report)}`);
    return true;
  };
  return waitFor(what, probe, timeout).then(() => undefined);
}
