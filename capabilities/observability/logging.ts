import type { Logger } from "pino";

/** What the module's code logs to: structured fields first, then a constant message. */
export type Log = Pick<Logger, "debug" | "info" | "warn" | "error">;

/** The message of anything thrown. kubernetes-fluent-client throws plain objects, not Errors. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  if (typeof thrown === "object" && thrown !== null && "statusText" in thrown) return String(thrown.statusText);
  return String(thrown);
}
