import type { Log } from "../../../capabilities/observability/logging";

/** One line that was logged. */
export interface RecordedLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** A log that keeps its lines for a test to look at. */
export function recordingLog(): { readonly log: Log; readonly lines: readonly RecordedLine[] } {
  const lines: RecordedLine[] = [];
  const at =
    (level: RecordedLine["level"]) =>
    (fields: unknown, message?: unknown): void => {
      lines.push({ level, fields: fields as RecordedLine["fields"], message: String(message) });
    };
  return { log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") }, lines };
}
