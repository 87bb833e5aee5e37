import type { PublishedVersion } from "../capabilities/status/published";
import { ALIVE_INTERVAL, EVENTS } from "../capabilities/server/page/wire";
import type { ChangeEvent, VersionsAnswer } from "../capabilities/server/page/wire";
import { changedBy, idOf, sorted } from "./listing";
import { readJson } from "./reading";

/** The versions as this page knows them. */
export interface Live {
  /** `lost`: what is shown may be out of date. */
  readonly connection: "loading" | "live" | "lost";
  readonly versions: ReadonlyMap<string, PublishedVersion>;
  /** When all was known to be right, in Unix milliseconds of this browser; undefined: never yet. */
  readonly at: number | undefined;
  /** Why there is no connection. */
  readonly problem: string | undefined;
}

/** Nothing known yet. */
export const NOTHING: Live = { connection: "loading", versions: new Map(), at: undefined, problem: undefined };

/** Milliseconds from a lost connection to the next attempt: the first, and the longest. */
const FIRST_RETRY = 1_000;
const LONGEST_RETRY = 30_000;

/** Milliseconds without a sign of life after which a connection that was not closed is given up all the same. */
const SILENCE = 2 * ALIVE_INTERVAL + 5_000;

/**
 * Milliseconds that a page nobody looks at keeps its connection: a browser has six for one address, and the module some dozens
 * for everybody.
 */
const HIDDEN_FOR = 5 * 60_000;

/**
 * Follows the versions: reads all of them, then what changes. When the connection is lost it goes on from where it was, or
 * reads all anew where that cannot be told any more.
 *
 * @returns what ends it
 */
export function followVersions(tell: (live: Live) => void): () => void {
  let live = NOTHING;
  let cursor: string | undefined;
  let events: EventSource | undefined;
  let timer: number | undefined;
  let retry = FIRST_RETRY;
  /** Counts what was begun: an answer that comes after something else was, is not wanted any more. */
  let attempt = 0;

  const become = (changes: Partial<Live>): void => {
    live = { ...live, ...changes };
    tell(live);
  };
  const stop = (): void => {
    attempt++;
    events?.close();
    events = undefined;
    clearTimeout(timer);
  };
  const lose = (problem: string): void => {
    stop();
    become({ connection: "lost", problem });
    // Where events are refused, all that there is can still be read now and then.
    if (retry > FIRST_RETRY) cursor = undefined;
    timer = window.setTimeout(() => void begin(), retry);
    retry = Math.min(retry * 2, LONGEST_RETRY);
  };

  const begin = async (): Promise<void> => {
    stop();
    const mine = attempt;
    try {
      if (cursor === undefined) {
        const answer = await readJson<VersionsAnswer>("page/versions");
        if (mine !== attempt) return;
        cursor = answer.cursor;
        // In the order of the page: what is nearly in order is soon sorted again after each change.
        const versions = new Map(sorted(answer.versions).map(version => [idOf(version), version]));
        // Shown, but not called live before the events come.
        become({ versions, at: Date.now() });
      }
    } catch (error) {
      if (mine === attempt) lose(error instanceof Error ? error.message : String(error));
      return;
    }
    listen(cursor);
  };

  const listen = (since: string): void => {
    const source = new EventSource(`page/events?since=${encodeURIComponent(since)}`);
    events = source;
    const heard = (): void => {
      retry = FIRST_RETRY;
      clearTimeout(timer);
      timer = window.setTimeout(() => {
        lose("the module has not been heard from");
      }, SILENCE);
      become({ connection: "live", at: Date.now(), problem: undefined });
    };
    source.addEventListener(EVENTS.alive, heard);
    source.addEventListener(EVENTS.change, event => {
      const change = JSON.parse(event.data as string) as ChangeEvent;
      cursor = change.cursor;
      live = { ...live, versions: changedBy(live.versions, change) };
      heard();
    });
    source.addEventListener(EVENTS.reset, () => {
      cursor = undefined;
      void begin();
    });
    source.onerror = () => {
      if (events !== source) return;
      // By ourselves rather than by the browser, which never tries again after some errors.
      lose("the connection to the module is lost");
    };
  };

  let hiding: number | undefined;
  const visibilityChanged = (): void => {
    clearTimeout(hiding);
    if (document.visibilityState === "hidden") {
      hiding = window.setTimeout(() => {
        stop();
        become({ connection: "lost", problem: "nobody looked at this page for a while" });
      }, HIDDEN_FOR);
    } else if (live.connection === "lost") {
      retry = FIRST_RETRY;
      void begin();
    }
  };
  document.addEventListener("visibilitychange", visibilityChanged);
  void begin();
  return () => {
    stop();
    clearTimeout(hiding);
    document.removeEventListener("visibilitychange", visibilityChanged);
  };
}
