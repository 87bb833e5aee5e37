import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createKeyedQueue } from "./keyed-queue";
import type { KeyedQueue } from "./keyed-queue";

interface World {
  /** What MLflow says about a key, as a number that only grows. */
  readonly truth: Map<string, number>;
  /** What the cluster has for it. */
  readonly cluster: Map<string, number>;
  readonly failed: Set<string>;
  readonly unconfirmed: Set<string>;
  readonly queue: KeyedQueue<string, number>;
}

/** A queue between a truth and a cluster, in which each step ends when the scheduler says. */
function createWorld(scheduler: fc.Scheduler, concurrency: number, fails: () => boolean): World {
  const truth = new Map<string, number>();
  const cluster = new Map<string, number>();
  const failed = new Set<string>();
  const unconfirmed = new Set<string>();
  const busy = new Set<string>();
  const look = (key: string): number => truth.get(key) ?? 0;
  const queue = createKeyedQueue<string, number>({
    identity: key => key,
    concurrency,
    work: async key => {
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
        result: seen,
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

const events = fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), fc.boolean()), { maxLength: 25 });

describe("createKeyedQueue, whatever the order of what happens", () => {
  it("answers everybody with a round begun after they asked, and ends where the truth is", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        events,
        fc.integer({ min: 1, max: 3 }),
        fc.infiniteStream(fc.integer({ min: 0, max: 5 })),
        async (scheduler, list, concurrency, luck) => {
          const world = createWorld(scheduler, concurrency, () => luck.next().value === 0);
          let answered = 0;
          const asks = list.map(async ([key, changes], index) => {
            await scheduler.schedule(Promise.resolve(), `event ${index}`);
            // The truth changes first, and the word of it comes later.
            if (changes) world.truth.set(key, (world.truth.get(key) ?? 0) + 1);
            await scheduler.schedule(Promise.resolve(), `delivery ${index}`);
            const asked = world.truth.get(key) ?? 0;
            const result = await world.queue.run(key).catch((error: unknown) => {
              expect(error).toEqual(new Error(key));
              return asked;
            });
            expect(result).toBeGreaterThanOrEqual(asked);
            answered++;
          });
          const all = Promise.all(asks);
          await scheduler.waitIdle();
          expect(answered).toBe(list.length);
          await all;
          await world.queue.idle();
          expect(world.queue.depth).toBe(0);
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
