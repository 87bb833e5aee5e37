import type { PageSource, PublishedChange } from "../../status/published";
import type { StreamWriter } from "../answers";
import type { Handler } from "../http-server";
import type { Cursors } from "./cursor";
import { DATA_HEADERS } from "./page-headers";
import { ALIVE_INTERVAL, EVENTS } from "./wire";
import type { ChangeEvent } from "./wire";

/** Times in milliseconds. */
export interface EventLimits {
  /** From a change to its telling; all changes within it are told in one message. */
  readonly gatherFor: number;
  /** Between two signs of life. A client that has not taken all by the next one is cut. */
  readonly aliveInterval: number;
  /** Versions in one message; when more have changed, the client is told to read all, which is compressed and shared. */
  readonly maximumChanges: number;
}

const LIMITS: EventLimits = { gatherFor: 200, aliveInterval: ALIVE_INTERVAL, maximumChanges: 500 };

/** Milliseconds after which a browser tries again when the connection was lost. */
const RETRY = 2_000;

interface Reader {
  readonly writer: StreamWriter;
  /** What it has been told. */
  revision: number;
  /** It had not taken what was sent before at the last sign of life. */
  stalled: boolean;
}

/**
 * `GET /page/events`: what changes, as server-sent events from a cursor on (`Last-Event-ID`, or `?since=`). Nothing is kept
 * for a reader: what it missed while it was slow, is told it as one change when it has taken the last one.
 */
export function createEventsHandler(
  source: Pick<PageSource, "since" | "subscribe">,
  cursors: Cursors,
  options: Partial<EventLimits> = {},
): Handler {
  const limits = { ...LIMITS, ...options };
  const readers = new Set<Reader>();
  let latest = 0;
  let gathering: NodeJS.Timeout | undefined;
  let aliveTimer: NodeJS.Timeout | undefined;
  let unsubscribe: (() => void) | undefined;

  const tellLater = (): void => {
    gathering ??= setTimeout(() => {
      gathering = undefined;
      tellAll();
    }, limits.gatherFor).unref();
  };

  const tellAll = (): void => {
    // Readers are mostly at the same place: what they are told is made once.
    const messages = new Map<number, Message>();
    for (const reader of readers) {
      if (reader.revision >= latest) continue;
      if (reader.writer.unsent() > 0) {
        tellLater();
        continue;
      }
      const message = messages.get(reader.revision) ?? messageFrom(reader.revision);
      messages.set(reader.revision, message);
      tell(reader, message);
    }
  };

  const messageFrom = (revision: number): Message =>
    messageOf(source.since(revision), revision, cursors, limits.maximumChanges);

  const tell = (reader: Reader, message: Message): void => {
    reader.writer.write(message.text);
    if (message.revision !== undefined) {
      reader.revision = message.revision;
      return;
    }
    reader.writer.end();
    leave(reader);
  };

  const showLife = (): void => {
    for (const reader of readers) {
      if (reader.writer.unsent() === 0) {
        reader.stalled = false;
        reader.writer.write(eventText(EVENTS.alive, {}));
      } else if (reader.stalled) reader.writer.cut();
      else reader.stalled = true;
    }
  };

  const join = (reader: Reader): void => {
    readers.add(reader);
    unsubscribe ??= source.subscribe(({ revision }) => {
      latest = Math.max(latest, revision);
      tellLater();
    });
    aliveTimer ??= setInterval(showLife, limits.aliveInterval).unref();
  };

  const leave = (reader: Reader): void => {
    readers.delete(reader);
    if (readers.size > 0) return;
    unsubscribe?.();
    unsubscribe = undefined;
    clearInterval(aliveTimer);
    clearTimeout(gathering);
    aliveTimer = gathering = undefined;
  };

  return ({ header, query }) => {
    const cursor = header("last-event-id") ?? query.get("since") ?? "";
    return Promise.resolve({
      status: 200,
      contentType: "text/event-stream; charset=utf-8",
      // Proxies that gather what they pass on would keep it for themselves.
      headers: { ...DATA_HEADERS, "x-accel-buffering": "no" },
      stream(writer) {
        writer.write(`retry: ${RETRY}\n\n${eventText(EVENTS.alive, {})}`);
        const revision = cursors.revisionOf(cursor);
        const reader: Reader = { writer, revision: revision ?? 0, stalled: false };
        join(reader);
        // Joined before, so that nothing falls between what it is told now and what is told later.
        const message = revision === undefined ? resetMessage() : messageFrom(revision);
        latest = Math.max(latest, message.revision ?? 0);
        tell(reader, message);
        return () => {
          leave(reader);
        };
      },
    });
  };
}

interface Message {
  readonly text: string;
  /** What its reader knows then; undefined when it has to read all anew, and nothing else is told it. */
  readonly revision: number | undefined;
}

function messageOf(change: PublishedChange | undefined, since: number, cursors: Cursors, maximum: number): Message {
  if (change === undefined || change.revision < since) return resetMessage();
  const { revision, changed, removed } = change;
  if (changed.length + removed.length > maximum) return resetMessage();
  if (revision === since) return { text: "", revision };
  const cursor = cursors.of(revision);
  const event: ChangeEvent = { cursor, changed, removed };
  return { text: `id: ${cursor}\n${eventText(EVENTS.change, event)}`, revision };
}

function resetMessage(): Message {
  return { text: eventText(EVENTS.reset, {}), revision: undefined };
}

/** JSON has no line breaks, which would end a line of an event. */
function eventText(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
