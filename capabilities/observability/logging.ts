import type { Logger } from "pino";
import { withoutSecrets } from "../support/foreign-text";

/** What the module's code logs to: structured fields first, then a constant message. */
export type Log = Pick<Logger, "debug" | "info" | "warn" | "error">;

/** Fields that name something, which is told as it is, whatever it looks like. */
const NAMES: ReadonlySet<string> = new Set(["model", "inference_service", "namespace", "delivery_id", "request_id"]);

/**
 * The fields of a line of the log {@link withoutSecrets}: causes have texts that others wrote, who may have put a signed
 * address or a password into them. For pino's `formatters.log`.
 */
export function cleanFields(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, NAMES.has(name) ? value : clean(value)]),
  );
}

function clean(value: unknown): unknown {
  if (typeof value === "string") return withoutSecrets(value);
  return Array.isArray(value) ? value.map(clean) : value;
}

/** The message of anything thrown. kubernetes-fluent-client throws plain objects, not Errors. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  if (typeof thrown === "object" && thrown !== null && "statusText" in thrown) return String(thrown.statusText);
  return String(thrown);
}
