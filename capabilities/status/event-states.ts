import type { Trouble } from "../kserve/troubles";
import type { EventRecorder } from "../kubernetes/events";
import type { Failure } from "../reconciliation/failures";
import type { StateWord } from "./published";

/** Reasons of Events that say in what state one version is. The others say what was done, or what many versions are about. */
export type StateReason = NonNullable<Failure["event"]> | Trouble["reason"] | "ModelFailed";

/** The state that each of them means. */
export const EVENT_STATES: Readonly<Record<StateReason, StateWord>> = {
  NameTaken: "Conflict",
  Refused: "Refused",
  RejectedByAdmission: "Refused",
  QuotaExceeded: "Refused",
  Invalid: "Refused",
  NoRuntime: "Failed",
  InvalidSpec: "Failed",
  PodsRefused: "Failed",
  ModelFailed: "Failed",
};

const STATES: ReadonlyMap<string, StateWord> = new Map(Object.entries(EVENT_STATES));

/** Begins the message of each Event that is about a version's state with the word for it, as tags and page have it. */
export function withStateWords(record: EventRecorder): EventRecorder {
  return event => {
    const word = STATES.get(event.reason);
    record(word === undefined ? event : { ...event, message: `${word}: ${event.message}` });
  };
}
