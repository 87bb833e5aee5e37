import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { settle } from "../../test/support/unit/outcomes";
import { createKeyedQueue } from "./keyed-queue";
import type { KeyedQueue } from "./keyed-queue";

/** 0 is held back until somebody waits for idleness; the greater of two is the stronger. */
type Cause = 0 | 1 | 2;

/** What a round saw, and why it was begun. */
interface Answer {
  readonly seen: number;
  readonly cause: Cause;
}

interface World {
  /** What MLflow says about a key, as a number that only grows. */
  readonly truth: Map<string, number>;
  /** What the cluster has for it. */
  readonly cluster: Map<string, number>;
  readonly failed: Set<string>;
  readonly unconfirmed: Set<string>;
  readonly queue: KeyedQueue<string, Answer, Cause>;
}

/** A queue between a truth and a cluster, in which each step ends when the scheduler says. */
function createWorld(
  scheduler: fc.Scheduler,
  { concurrency, confirmWithin, fails }: { concurrency: number; confirmWithin: number; fails: () => boolean },
): World {
  const truth = new Map<string, number>();
  const cluster = new Map<string, number>();
  const failed = new Set<string>();
  const unconfirmed = new Set<string>();
  const busy = new Set<string>();
  const look = (key: string): number => truth.get(key) ?? 0;
  const queue = createKeyedQueue<string, Answer, Cause>({
    identity: key => key,
    concurrency,
    confirmWithin,
    merge: (one, other) => (one > other ? one : other),
    holdBack: (_, cause) => (cause === 0 ? 600_000 : 0),
    work: async (key, cause) => {
      expect(busy.has(key)).toBe(false);
      busy.add(key);
      expect(busy.size).toBeLessThanOrEqual(concurrency);
      const seen = look(key);
      await scheduler.schedule(Promise.resolve(), `work on ${key}`);
      busy.delete(key);
      if (fails()) {
        failed.add(key);
        throw new Error(key);
      }
      failed.delete(key);
      cluster.set(key, seen);
      return {
        result: { seen, cause },
        confirm: async () => {
          await scheduler.schedule(Promise.resolve(), `second look at ${key}`);
          return look(key) === seen;
        },
      };
    },
    onUnconfirmed: key => unconfirmed.add(key),
  });
  return { truth, cluster, failed, unconfirmed, queue };
}

const events = fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), fc.boolean(), fc.constantFrom<Cause>(0, 1, 2)), {
  maxLength: 25,
});

describe("createKeyedQueue, whatever the order of what happens", () => {
  it("answers everybody with a round begun after they asked and for no weaker cause, and ends where the truth is", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        events,
        fc.integer({ min: 1, max: 3 }),
        // At once, or not before the end.
        fc.constantFrom(0, 600_000),
        fc.infiniteStream(fc.integer({ min: 0, max: 5 })),
        async (scheduler, list, concurrency, confirmWithin, luck) => {
          const fails = (): boolean => luck.next().value === 0;
          const world = createWorld(scheduler, { concurrency, confirmWithin, fails });
          let answered = 0;
          const asks = list.map(async ([key, changes, cause], index) => {
            await scheduler.schedule(Promise.resolve(), `event ${index}`);
            // The truth changes first, and the word of it comes later.
            if (changes) world.truth.set(key, (world.truth.get(key) ?? 0) + 1);
            await scheduler.schedule(Promise.resolve(), `delivery ${index}`);
            const asked = world.truth.get(key) ?? 0;
            const answer = await world.queue.run(key, cause).catch((error: unknown) => {
              expect(error).toEqual(new Error(key));
              return { seen: asked, cause };
            });
            expect(answer.seen).toBeGreaterThanOrEqual(asked);
            expect(answer.cause).toBeGreaterThanOrEqual(cause);
            if (cause > 0) answered++;
          });
          const all = Promise.all(asks);
          await scheduler.waitIdle();
          expect(answered).toBe(list.filter(([, , cause]) => cause > 0).length);
          const idle = world.queue.idle();
          while (world.queue.depth > 0) {
            await settle();
            await scheduler.waitIdle();
          }
          await all;
          await idle;
          for (const [key, value] of world.truth) {
            if (world.failed.has(key) || world.unconfirmed.has(key)) continue;
            expect(world.cluster.get(key)).toBe(value);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
