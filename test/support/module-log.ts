/** One line of the module's log: message, level and fields. */
export interface LogEntry {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const HEADER = /^\[[^\]]+\] (?<level>[A-Z]+)(?: \([^)]*\))?: (?<message>.*)$/;
const FIELD = /^ {4}(?<name>[\w.]+): (?<value>.*)$/;
// Terminal colours; the escape character is what is looked for.

const COLOURS = /\u001b\[[0-9;]*m/g;

/**
 * Reads the log as `pepr dev` prints it. It always prints for people (pino-pretty): a header line, then a line for each
 * field.
 *
 * @param onEntry called once an entry is complete, which is when the next one begins or the pause after it is over
 * @returns takes further text, cut anywhere
 */
export function createLogReader(onEntry: (entry: LogEntry) => void): (chunk: string) => void {
  let rest = "";
  let current: { level: string; message: string; fields: Record<string, unknown> } | undefined;
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    if (current) onEntry(current);
    current = undefined;
  };
  const take = (line: string): void => {
    const header = HEADER.exec(line)?.groups;
    if (header) {
      flush();
      current = { level: header.level ?? "", message: header.message ?? "", fields: {} };
      return;
    }
    const field = FIELD.exec(line)?.groups;
    if (current && field) current.fields[field.name ?? ""] = parseValue(field.value ?? "");
  };
  return chunk => {
    clearTimeout(timer);
    const lines = (rest + chunk.replace(COLOURS, "")).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(take);
    timer = setTimeout(flush, 30);
  };
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
