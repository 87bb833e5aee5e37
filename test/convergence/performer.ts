import { setTimeout as sleep } from "node:timers/promises";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import type { DeliveryRelay } from "../support/delivery-relay";
import type { ApiServerProxy } from "../support/api-server-proxy";
import type { TamperingProxy } from "../support/tampering-proxy";
import type { ClusterDriver } from "./cluster-driver";
import type { FaultPlace, Faults } from "./faults";
import type { Installation } from "./installation";
import type { FaultOperation, ForeignOperation, ObjectOperation, Operation } from "./operations";
import type { ProcessDriver, ProcessOperation } from "./process-driver";
import type { RegistryDriver } from "./registry-driver";
import { templateText } from "./templates";

/** All that operations are done with. */
export interface Instruments {
  readonly registry: RegistryDriver;
  readonly cluster: ClusterDriver;
  readonly relay: DeliveryRelay;
  readonly mlflowProxy: TamperingProxy;
  readonly apiServerProxy: ApiServerProxy;
  readonly installation: Installation;
  /** Versions that nobody touches. */
  readonly bystanders: readonly ModelVersionKey[];
  readonly tagKey: string;
  /** MLflow, and another one that is empty. */
  readonly registries: { readonly own: string; readonly empty: string };
  /** Those of the music that plays. */
  readonly current: () => { readonly faults: Faults; readonly processes: ProcessDriver };
}

/** Does what a plan says, one operation at a time or many. */
export interface Performer {
  /** @returns false when there was nothing to do it to. @throws what MLflow or the API server answered */
  perform: (operation: Operation) => Promise<boolean>;
  /** Deliveries that were taken and should not have been. */
  readonly accepted: readonly string[];
}

/** Older deliveries must be refused; a little more than the 300 s that the module allows. */
const SURELY_TOO_OLD = 305;

const PLACES = {
  "MLflow faults": "MLflow",
  "API server faults": "API server",
  "delivery faults": "delivery",
} as const satisfies Record<string, FaultPlace>;

export function createPerformer(instruments: Instruments): Performer {
  const { registry, cluster, relay, mlflowProxy, apiServerProxy, installation, registries, bystanders, current } =
    instruments;
  const accepted: string[] = [];
  let elsewhere = 0;

  const onObject = async (operation: ObjectOperation): Promise<boolean> => {
    if (operation.kind !== "relabel") return await cluster.change(operation);
    const key = registry.resolve(operation.of);
    return key !== undefined && (await cluster.relabel(operation.object, key));
  };

  const create = async (operation: ForeignOperation): Promise<boolean> => {
    const { of } = operation;
    const key = registry.resolve(of);
    if (key === undefined) return false;
    switch (operation.kind) {
      case "create foreign":
        return await cluster.createForeign(key, operation.variant);
      case "create as former listener":
        return await cluster.createAsFormerListener(key, operation.source);
      case "create foreign while tagging": {
        const [made] = await Promise.all([
          cluster.createForeign(key, operation.variant),
          registry.execute({ kind: "set tag", of, value: "true" }),
        ]);
        return made;
      }
    }
  };

  /** A delivery about something that did not happen. @returns whether it was answered */
  const forge = async (key: ModelVersionKey, action: "set" | "deleted"): Promise<boolean> => {
    current().faults.count("delivery: forged");
    const data = { name: key.model, version: key.version, key: instruments.tagKey, value: "true" };
    const event = { entity: "model_version_tag", action, timestamp: new Date().toISOString(), data };
    return (await relay.send(Buffer.from(JSON.stringify(event)))) > 0;
  };

  const deliver = async (
    operation: Extract<FaultOperation, { kind: "replay delivery" | "forge delivery" }>,
  ): Promise<boolean> => {
    const { faults } = current();
    if (operation.kind === "replay delivery") {
      const delivery = relay.received[operation.which % Math.max(1, relay.received.length)];
      if (delivery === undefined) return false;
      faults.count("delivery: replayed");
      const status = await relay.send(delivery.body, operation.age);
      if (operation.age > SURELY_TOO_OLD && status >= 200 && status < 300) {
        accepted.push(`A delivery signed ${operation.age} s ago was answered ${status}`);
      }
      return status > 0;
    }
    const key = registry.resolve(operation.of);
    return key !== undefined && (await forge(key, operation.action));
  };

  /** As long as one such window is open. */
  const leadElsewhere = async (milliseconds: number, bystander: ModelVersionKey | undefined): Promise<void> => {
    current().faults.count("address of another MLflow");
    elsewhere++;
    mlflowProxy.target = registries.empty;
    const delivered = bystander && forge(bystander, "set");
    await sleep(milliseconds);
    elsewhere--;
    if (elsewhere === 0) mlflowProxy.target = registries.own;
    await delivered;
  };

  const disturb = async (operation: Exclude<FaultOperation, ProcessOperation>): Promise<boolean> => {
    const { faults, processes } = current();
    switch (operation.kind) {
      case "MLflow faults":
      case "API server faults":
      case "delivery faults":
        await faults.open(PLACES[operation.kind], operation.probability, operation.milliseconds);
        return true;
      case "cut watches": {
        const cut = apiServerProxy.cutWatches();
        if (cut > 0) faults.count("watches cut");
        return cut > 0;
      }
      case "another registry":
        await leadElsewhere(operation.milliseconds, bystanders[operation.bystander % bystanders.length]);
        return true;
      case "change template":
        faults.count("template changed");
        installation.setTemplate(templateText(operation.template));
        await processes.restartAll();
        return true;
      case "replay delivery":
      case "forge delivery":
        return await deliver(operation);
    }
  };

  return {
    accepted,
    async perform(operation) {
      switch (operation.kind) {
        case "edit":
        case "delete object":
        case "take label off":
        case "put label on":
        case "relabel":
        case "pause":
        case "release":
        case "unpause":
          return await onObject(operation);
        case "create foreign":
        case "create foreign while tagging":
        case "create as former listener":
          return await create(operation);
        case "MLflow faults":
        case "API server faults":
        case "delivery faults":
        case "cut watches":
        case "another registry":
        case "change template":
        case "replay delivery":
        case "forge delivery":
          return await disturb(operation);
        case "kill replica":
        case "terminate replica":
        case "pause part":
        case "restart part":
          return await current().processes.execute(operation);
        case "create version":
        case "set tag":
        case "delete tag":
        case "flip tag":
        case "set other tag":
        case "set model tag":
        case "set alias":
        case "delete alias":
        case "delete version":
        case "register again":
        case "rename model":
        case "delete model":
        case "replace model":
          return await registry.execute(operation);
      }
    },
  };
}
