import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../capabilities/observability/logging";
import type { LogLine, Replica } from "../support/replica";
import type { Difference, Judgement } from "./oracle";
import type { Session } from "./session";

/** How it ended after the music had stopped. */
export interface Settled {
  /** Empty when the cluster came to be what MLflow says, in time, and stayed so. */
  readonly differences: readonly Difference[];
  /** Seconds from the end of the music until all was as it should be; undefined when it never was. */
  readonly seconds: number | undefined;
  /** Polls that began after the music and ended. */
  readonly polls: number;
  /** Those of them that left something to a later one: deletions that they held, services in a former form. */
  readonly waiting: number;
  readonly tagged: number;
  readonly blocked: number;
  readonly handsOff: number;
  /** What the replicas logged at level error when nothing was wrong any more, but for names that others have taken. */
  readonly errors: readonly string[];
}

/** Milliseconds for which all must stay as it should be. */
const STABLE_FOR = 1500;

/** Milliseconds for what a poll began: second looks, and up to 3 s of waiting for an object that is being deleted. */
const AFTER_POLL = 5000;

/** Milliseconds after which it is given up, whatever polls do. */
const LATEST = 90_000;

const ERROR_LEVEL = 50;

/** Waits until all is as MLflow says, for as long as the module needs for one poll. */
export async function settle(session: Session): Promise<Settled> {
  await deletionsDone(session);
  const { watchers } = session;
  const start = Date.now();
  let goodSince: number | undefined;
  let judgement: Judgement = { differences: [], tagged: 0, blocked: 0, handsOff: 0 };
  let polls = watchers.map(watcher => pollsSince(watcher, start));
  for (;;) {
    const looked = Date.now();
    judgement = await session.judge();
    const good = judgement.differences.length === 0;
    goodSince = good ? (goodSince ?? looked) : undefined;
    if (goodSince !== undefined && Date.now() - goodSince >= STABLE_FOR) break;
    polls = watchers.map(watcher => pollsSince(watcher, start));
    // The last poll that is needed: each that left something to a later one asks for one more. So do tags, where the watch was
    // broken and what a poll made has become Ready since.
    const isTold = judgement.differences.some(({ kind }) => kind !== "status tags");
    const tooLate = polls.every(({ ended, waiting }) => {
      const needed = isTold ? waiting : waiting + 1;
      return Date.now() > (ended[needed] ?? Infinity) + AFTER_POLL;
    });
    if (!good && (tooLate || Date.now() > start + LATEST)) break;
    await sleep(150);
  }
  const { differences, tagged, blocked, handsOff } = judgement;
  return {
    differences,
    seconds: goodSince === undefined ? undefined : (goodSince - start) / 1000,
    polls: sum(polls.map(({ ended }) => ended.length)),
    waiting: sum(polls.map(({ waiting }) => waiting)),
    tagged,
    blocked,
    handsOff,
    errors: session.replicas.flatMap(replica => errorsSince(replica, start)),
  };
}

/** A foreign object that its owner deleted holds its name until KServe's finalizer is done; no poll can help that. */
async function deletionsDone({ foreignDeletions }: Session): Promise<void> {
  const end = Date.now() + 15_000;
  while (Date.now() < end && (await foreignDeletions()) > 0) await sleep(50);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function pollsSince({ logged }: Replica, start: number): { ended: number[]; waiting: number } {
  const polls = logged.filter(
    ({ msg, time, duration_ms: duration }) =>
      msg?.startsWith("Poll finished") === true && Number(time) - Number(duration) >= start,
  );
  const waiting = polls.filter(({ held, outdated }) => Number(held) + Number(outdated) > 0).length;
  return { ended: polls.map(({ time }) => Number(time)), waiting };
}

function errorsSince({ logged, logFile }: Replica, start: number): string[] {
  return logged
    .filter(line => Number(line.level) >= ERROR_LEVEL && Number(line.time) > start && !tellsOfTakenName(line))
    .map(line => `${logFile}: ${textOf(line)}`);
}

function tellsOfTakenName({ cause }: LogLine): boolean {
  return typeof cause === "string" && cause.includes("exists and was not made by this module");
}

function textOf({ msg, cause, model, version }: LogLine): string {
  const about = model === undefined ? "" : ` (${JSON.stringify(model)} ${messageOf(version)})`;
  return `${msg ?? ""}${about}: ${messageOf(cause)}`;
}
