import { describe, expect, it, onTestFinished, vi } from "vitest";
import { deferred, rejectionOf, settle } from "../../test/support/unit/outcomes";
import type { Deferred } from "../../test/support/unit/outcomes";
import { createKeyedQueue } from "./keyed-queue";
import type { KeyedQueue, Round } from "./keyed-queue";

/** "held" is held back for longer than any test takes. */
type Cause = "held" | "usual" | "strong";

const BY_STRENGTH: readonly Cause[] = ["held", "usual", "strong"];

interface Setup {
  readonly queue: KeyedQueue<string, string, Cause>;
  /** Rounds of work that were begun, in order; the test ends each. */
  readonly rounds: { readonly key: string; readonly cause: Cause; readonly work: Deferred<Round<string>> }[];
  readonly unconfirmed: string[];
}

function setUp(concurrency = 10, confirmWithin = 0): Setup {
  const rounds: Setup["rounds"] = [];
  const unconfirmed: string[] = [];
  const queue = createKeyedQueue<string, string, Cause>({
    identity: key => key.toLowerCase(),
    concurrency,
    confirmWithin,
    merge: (one, other) => (BY_STRENGTH.indexOf(one) > BY_STRENGTH.indexOf(other) ? one : other),
    holdBack: (_, cause) => (cause === "held" ? 600_000 : 0),
    work: (key, cause) => {
      const work = deferred<Round<string>>();
      rounds.push({ key, cause, work });
      return work.promise;
    },
    onUnconfirmed: (key, error) => {
      unconfirmed.push(`${key}: ${error instanceof Error ? error.message : String(error)}`);
    },
  });
  return { queue, rounds, unconfirmed };
}

const confirmed = (result: string): Round<string> => ({ result, confirm: () => Promise.resolve(true) });
const changed = (result: string): Round<string> => ({ result, confirm: () => Promise.resolve(false) });

/** Ends a round, once it has begun: the first begins a moment after it was asked for. */
async function end(setup: Setup, index: number, round: Round<string> | Error): Promise<void> {
  await settle();
  const begun = setup.rounds[index];
  if (begun === undefined) throw new Error(`round ${index} was not begun`);
  if (round instanceof Error) begun.work.reject(round);
  else begun.work.resolve(round);
}

describe("createKeyedQueue", () => {
  it("gives the result as soon as the work is done, before the second look", async () => {
    const setup = setUp();
    const look = deferred<boolean>();
    const run = setup.queue.run("a", "usual");
    await end(setup, 0, { result: "done", confirm: () => look.promise });
    expect(await run).toBe("done");
    expect(setup.queue.depth).toBe(1);
    look.resolve(true);
    await setup.queue.idle();
    expect([setup.queue.depth, setup.rounds.length]).toEqual([0, 1]);
  });

  it("answers all that came while a key was busy by one further round, begun after they came", async () => {
    const setup = setUp();
    const first = setup.queue.run("a", "usual");
    await settle();
    const second = setup.queue.run("A", "usual");
    const third = setup.queue.run("a", "usual");
    await settle();
    expect(setup.rounds).toHaveLength(1);
    await end(setup, 0, confirmed("one"));
    expect(await first).toBe("one");
    await settle();
    await end(setup, 1, confirmed("two"));
    expect(await Promise.all([second, third])).toEqual(["two", "two"]);
    await setup.queue.idle();
    expect(setup.rounds).toHaveLength(2);
  });

  it("does not lose who comes during the second look", async () => {
    const setup = setUp();
    const look = deferred<boolean>();
    const first = setup.queue.run("a", "usual");
    await end(setup, 0, { result: "one", confirm: () => look.promise });
    await first;
    const second = setup.queue.run("a", "usual");
    look.resolve(true);
    await settle();
    await end(setup, 1, confirmed("two"));
    expect(await second).toBe("two");
  });

  it("works on different keys at the same time, but no more than allowed, first come first served", async () => {
    const setup = setUp(2);
    const runs = ["a", "b", "c", "d"].map(key => setup.queue.run(key, "usual"));
    await settle();
    expect(setup.rounds.map(({ key }) => key)).toEqual(["a", "b"]);
    await end(setup, 1, confirmed("b"));
    await settle();
    expect(setup.rounds.map(({ key }) => key)).toEqual(["a", "b", "c"]);
    await end(setup, 0, confirmed("a"));
    await settle();
    await end(setup, 2, confirmed("c"));
    await end(setup, 3, confirmed("d"));
    expect(await Promise.all(runs)).toEqual(["a", "b", "c", "d"]);
  });

  it("lets those who wait for a free place share its first round", async () => {
    const setup = setUp(1);
    const busy = setup.queue.run("a", "usual");
    const waiting = [setup.queue.run("b", "usual"), setup.queue.run("b", "usual")];
    await end(setup, 0, confirmed("a"));
    await busy;
    await settle();
    await end(setup, 1, confirmed("b"));
    expect(await Promise.all(waiting)).toEqual(["b", "b"]);
    await setup.queue.idle();
    expect(setup.rounds).toHaveLength(2);
  });

  it("looks again at several keys at the same moment, after a while", async () => {
    // A busy machine may take longer than that for what comes before.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const setup = setUp(10, 20);
    const looks: string[] = [];
    const ended = async (index: number, key: string): Promise<void> => {
      const run = setup.queue.run(key, "usual");
      const confirm = (): Promise<boolean> => Promise.resolve(looks.push(key) > 0);
      await end(setup, index, { result: key, confirm });
      await run;
    };
    await ended(0, "a");
    await ended(1, "b");
    expect(looks).toEqual([]);
    vi.advanceTimersByTime(20);
    await settle();
    expect(looks).toEqual(["a", "b"]);
    expect(setup.queue.depth).toBe(0);
  });

  it("does not wait for the second look when the key is asked for again, which looks anyway", async () => {
    const setup = setUp(10, 600_000);
    let looks = 0;
    const round = (result: string): Round<string> => ({ result, confirm: () => Promise.resolve(++looks > 0) });
    const first = setup.queue.run("a", "usual");
    await end(setup, 0, round("one"));
    await first;
    const second = setup.queue.run("a", "usual");
    await end(setup, 1, round("two"));
    expect(await second).toBe("two");
    expect(looks).toBe(0);
    await setup.queue.idle();
    expect(looks).toBe(1);
  });

  it("hurries when somebody waits for the end of all work", async () => {
    const setup = setUp(10, 600_000);
    const runs = [setup.queue.run("a", "usual"), setup.queue.run("b", "usual")];
    await end(setup, 0, changed("one"));
    const idle = setup.queue.idle();
    await end(setup, 1, confirmed("b"));
    await end(setup, 2, confirmed("two"));
    await idle;
    expect(await Promise.all(runs)).toEqual(["one", "b"]);
    expect([setup.rounds.length, setup.queue.depth]).toEqual([3, 0]);
  });

  it("acts again when the second look shows a change", async () => {
    const setup = setUp();
    const run = setup.queue.run("a", "usual");
    await end(setup, 0, changed("one"));
    expect(await run).toBe("one");
    await settle();
    await end(setup, 1, confirmed("two"));
    await setup.queue.idle();
    expect([setup.rounds.length, setup.unconfirmed]).toEqual([2, []]);
  });

  it("leaves a key that keeps changing to the poll, and says so", async () => {
    const setup = setUp();
    void setup.queue.run("a", "usual");
    for (let round = 0; setup.queue.depth > 0; round++) {
      await end(setup, round, changed("again"));
      await settle();
    }
    expect(setup.rounds).toHaveLength(6);
    expect(setup.unconfirmed).toEqual(["a: changed during each of 6 rounds of work"]);
  });

  it("tells a failure to those who wait, and works on for those who came later", async () => {
    const setup = setUp();
    const failing = rejectionOf(setup.queue.run("a", "usual"));
    await settle();
    const second = setup.queue.run("a", "usual");
    await end(setup, 0, new Error("down"));
    expect((await failing).message).toBe("down");
    await end(setup, 1, confirmed("up"));
    expect(await second).toBe("up");
    await setup.queue.idle();
    expect(setup.unconfirmed).toEqual([]);
  });

  it("reports a second look that failed, and a failure that nobody waits for", async () => {
    const setup = setUp();
    void setup.queue.run("a", "usual");
    await end(setup, 0, { result: "one", confirm: () => Promise.reject(new Error("MLflow is down")) });
    await setup.queue.idle();
    void setup.queue.run("b", "usual");
    await end(setup, 1, changed("one"));
    await settle();
    await end(setup, 2, new Error("Kubernetes is down"));
    await setup.queue.idle();
    expect(setup.unconfirmed).toEqual(["a: MLflow is down", "b: Kubernetes is down"]);
  });

  it("keeps its places when work throws before it gives a promise", async () => {
    const queue = createKeyedQueue<string, string, undefined>({
      identity: String,
      concurrency: 1,
      merge: () => undefined,
      work: key => {
        if (key === "bad") throw new Error("at once");
        return Promise.resolve(confirmed(key));
      },
      onUnconfirmed: () => undefined,
    });
    expect((await rejectionOf(queue.run("bad", undefined))).message).toBe("at once");
    expect(await queue.run("good", undefined)).toBe("good");
    await queue.idle();
    expect(queue.depth).toBe(0);
  });

  it("is idle at once when there is nothing to do", async () => {
    await setUp().queue.idle();
  });

  it("works for the strongest cause of those whom a round answers, who share one promise", async () => {
    const setup = setUp();
    const first = setup.queue.run("a", "usual");
    await settle();
    const later = [setup.queue.run("a", "strong"), setup.queue.run("A", "usual"), setup.queue.run("a", "held")];
    expect(new Set([first, ...later]).size).toBe(2);
    await end(setup, 0, confirmed("one"));
    await end(setup, 1, changed("two"));
    // Nobody asked for this one: the world changed during the round before.
    await end(setup, 2, confirmed("three"));
    await setup.queue.idle();
    expect(setup.rounds.map(({ cause }) => cause)).toEqual(["usual", "strong", "strong"]);
  });

  it("holds back a round whose cause can wait, without a place, until a stronger cause comes", async () => {
    const setup = setUp(1);
    const held = [setup.queue.run("a", "held"), setup.queue.run("a", "held")];
    const other = setup.queue.run("b", "usual");
    await settle();
    expect(setup.rounds.map(({ key }) => key)).toEqual(["b"]);
    await end(setup, 0, confirmed("b"));
    await other;
    const hurried = setup.queue.run("a", "usual");
    await end(setup, 1, confirmed("a"));
    expect(await Promise.all([...held, hurried])).toEqual(["a", "a", "a"]);
    await setup.queue.idle();
    expect(setup.rounds.map(({ cause }) => cause)).toEqual(["usual", "usual"]);
  });

  it("does not hold back the second look, nor the round that it asks for", async () => {
    const setup = setUp();
    const first = setup.queue.run("a", "usual");
    await settle();
    const held = setup.queue.run("a", "held");
    await end(setup, 0, changed("one"));
    expect(await first).toBe("one");
    await settle();
    await end(setup, 1, confirmed("two"));
    expect(await held).toBe("two");
    await setup.queue.idle();
    expect(setup.rounds.map(({ cause }) => cause)).toEqual(["usual", "usual"]);
  });

  it("hurries what is held back when somebody waits for idleness, but does not wait for what is held back later", async () => {
    const setup = setUp();
    const held = setup.queue.run("a", "held");
    await settle();
    const idle = setup.queue.idle();
    await settle();
    const later = setup.queue.run("a", "held");
    await end(setup, 0, confirmed("one"));
    expect(await held).toBe("one");
    await idle;
    expect([setup.queue.depth, setup.rounds.length]).toEqual([1, 1]);
    const rest = setup.queue.idle();
    await end(setup, 1, confirmed("two"));
    await rest;
    expect([await later, setup.queue.depth]).toEqual(["two", 0]);
  });

  it("begins a round that was held back when its time has come", async () => {
    const begun: string[] = [];
    const queue = createKeyedQueue<string, string, number>({
      identity: String,
      concurrency: 1,
      merge: Math.min,
      holdBack: (_, milliseconds) => milliseconds,
      work: key => {
        begun.push(key);
        return Promise.resolve(confirmed(key));
      },
      onUnconfirmed: () => undefined,
    });
    const held = queue.run("a", 5);
    await queue.run("b", 0);
    expect(begun).toEqual(["b"]);
    expect(await held).toBe("a");
  });
});
