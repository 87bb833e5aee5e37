import type { PartName } from "../testbed";
import type { TemplateName } from "./templates";

/**
 * A model version as a plan names it: the how-manieth model, and the how-manieth of the versions that were made of it so
 * far (counted around, so that every number names one once there is any).
 */
export interface VersionReference {
  readonly model: number;
  readonly version: number;
}

/** What happens to MLflow's registry. */
export type RegistryOperation =
  | { readonly kind: "create version"; readonly model: number; readonly source: string; readonly tag?: string }
  | { readonly kind: "set tag"; readonly of: VersionReference; readonly value: string }
  | { readonly kind: "delete tag"; readonly of: VersionReference }
  /** Sets and takes away the tag in turn, as fast as MLflow answers; the last value is the given one. */
  | { readonly kind: "flip tag"; readonly of: VersionReference; readonly times: number; readonly value: string }
  /** A tag with another key, which must not matter; it deploys for the other installation, where there is one. */
  | { readonly kind: "set other tag"; readonly of: VersionReference; readonly value: string }
  /** The deploy tag of the registered model itself, by which it follows its aliases; null takes it off. */
  | { readonly kind: "set model tag"; readonly model: number; readonly value: string | null }
  | { readonly kind: "set alias"; readonly of: VersionReference; readonly alias: string }
  | { readonly kind: "delete alias"; readonly model: number; readonly alias: string }
  | { readonly kind: "delete version"; readonly of: VersionReference }
  /** What people do to rename: deletes the version and registers its artifacts again elsewhere. */
  | {
      readonly kind: "register again";
      readonly of: VersionReference;
      readonly as: number;
      readonly source: string;
      readonly tag: string;
    }
  /** MLflow's own rename of a registered model with all its versions. */
  | { readonly kind: "rename model"; readonly model: number; readonly name: string }
  | { readonly kind: "delete model"; readonly model: number }
  /** Deletes the model and makes one of the same name, whose version 1 has another source. */
  | { readonly kind: "replace model"; readonly model: number; readonly source: string; readonly tag: string };

/** What other people do to the InferenceServices that are there; `object` is the how-manieth, counted around. */
export type ObjectOperation =
  | { readonly kind: "edit"; readonly object: number; readonly edit: EditName }
  | { readonly kind: "delete object"; readonly object: number }
  /** Takes our label off, or puts it on: on an object of ours that was disowned, or on a foreign one. */
  | { readonly kind: "take label off"; readonly object: number }
  | { readonly kind: "put label on"; readonly object: number }
  /** Sets the labels that say what an object serves to those of a version, its own or another. */
  | { readonly kind: "relabel"; readonly object: number; readonly of: VersionReference }
  /** Has the module keep its hands off for a while, for good, or no longer. */
  | { readonly kind: "pause" | "release" | "unpause"; readonly object: number };

/** Objects that others make, with the very name that the version's service has or would have. */
export type ForeignOperation =
  | { readonly kind: "create foreign"; readonly of: VersionReference; readonly variant: ForeignVariant }
  /** The same, at the moment at which the version is tagged. */
  | { readonly kind: "create foreign while tagging"; readonly of: VersionReference; readonly variant: ForeignVariant }
  /** Makes the version's service as the listener before this module did: labels, no annotations, another field manager. */
  | { readonly kind: "create as former listener"; readonly of: VersionReference; readonly source: string };

/** Somebody's InferenceService: of another model, with our label besides, or one that has no field in common with ours. */
export type ForeignVariant = "other model" | "with our label" | "own container";

/** Manual changes; each is a merge patch (see cluster-driver.ts). */
export const EDIT_NAMES = [
  "storage URI",
  "memory limit",
  "protocol removed",
  "replicas added",
  "label added",
  "model label changed",
  "version label removed",
  "annotation added",
  "digest changed",
  "source annotation removed",
  "model annotation changed",
  "identity annotations removed",
] as const;
export type EditName = (typeof EDIT_NAMES)[number];

/** What goes wrong. Windows of faults end by themselves. */
export type FaultOperation =
  | { readonly kind: "MLflow faults"; readonly probability: number; readonly milliseconds: number }
  | { readonly kind: "API server faults"; readonly probability: number; readonly milliseconds: number }
  | { readonly kind: "delivery faults"; readonly probability: number; readonly milliseconds: number }
  | { readonly kind: "cut watches" }
  /**
   * For a while the module's address of MLflow leads to another MLflow, which is empty; a delivery about a version that
   * nobody touches comes meanwhile.
   */
  | { readonly kind: "another registry"; readonly milliseconds: number; readonly bystander: number }
  /** All replicas are started again, one after the other, with this template, which stays. */
  | { readonly kind: "change template"; readonly template: TemplateName }
  | { readonly kind: "kill replica"; readonly replica: number; readonly downFor: number }
  | { readonly kind: "terminate replica"; readonly replica: number; readonly downFor: number }
  | { readonly kind: "pause part"; readonly part: PartName; readonly milliseconds: number }
  | { readonly kind: "restart part"; readonly part: PartName; readonly downFor: number }
  /** Sends a delivery that came before once more, signed anew with a time this many seconds ago. */
  | { readonly kind: "replay delivery"; readonly age: number; readonly which: number }
  /** Sends a correctly signed delivery about something that did not happen. */
  | { readonly kind: "forge delivery"; readonly of: VersionReference; readonly action: "set" | "deleted" };

export type Operation = RegistryOperation | ObjectOperation | ForeignOperation | FaultOperation;

export interface Step {
  /** Milliseconds after the music began. Steps do not wait for each other. */
  readonly at: number;
  readonly operation: Operation;
}

/** All that a seed decides. */
export interface Plan {
  readonly seed: number;
  /** Names of the models; MLflow may refuse some, see registry-driver.ts. */
  readonly models: readonly string[];
  /** In order of time. */
  readonly steps: readonly Step[];
  /** Decides about each request and delivery while a window of faults is open. */
  readonly faultSeed: number;
  /** Whether another installation of the module is at work beside. */
  readonly hasNeighbour: boolean;
}
