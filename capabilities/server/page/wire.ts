import type { ModelVersionKey } from "../../support/model-version-key";
import type { ModuleView, PublishedVersion, StateChange } from "../../status/published";

// What the status page's script and the module say to each other; both are made of the same sources.

/** `/page/versions`: all versions, and from where on `/page/events` tells what changed. */
export interface VersionsAnswer {
  /** The revision, and the process that counts it: another process counts anew. */
  readonly cursor: string;
  readonly versions: readonly PublishedVersion[];
}

/** An event `change` of `/page/events`; its id is the cursor behind it. */
export interface ChangeEvent {
  readonly cursor: string;
  readonly changed: readonly PublishedVersion[];
  readonly removed: readonly ModelVersionKey[];
}

/** `/page/module`. */
export interface ModuleAnswer extends ModuleView {
  /** Of the module. */
  readonly version: string;
  /** When it was so, in Unix milliseconds. */
  readonly at: number;
}

/** `/page/history`: the newest first. */
export interface HistoryAnswer {
  readonly changes: readonly StateChange[];
}

/** The names of the events of `/page/events`. */
export const EVENTS = {
  /** A {@link ChangeEvent}. */
  change: "change",
  /** What changed cannot be told: a new {@link VersionsAnswer} has to be read. */
  reset: "reset",
  /** Nothing but that the connection lives. */
  alive: "alive",
} as const;

/** Milliseconds between two signs of life of a stream, when nothing else is sent. */
export const ALIVE_INTERVAL = 15_000;
