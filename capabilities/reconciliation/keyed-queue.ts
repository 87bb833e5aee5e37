/** The result of one round of work on a key, and the look afterwards that tells whether another round is needed. */
export interface Round<Result> {
  readonly result: Result;
  /** true when nothing changed meanwhile. */
  readonly confirm: () => Promise<boolean>;
}

export interface KeyedQueueOptions<Key, Result> {
  /** Two keys of the same identity are the same. */
  readonly identity: (key: Key) => string;
  /** Keys worked on at the same time. */
  readonly concurrency: number;
  /** Does the work. It must read the state of the world itself, after it was called. */
  readonly work: (key: Key) => Promise<Round<Result>>;
  /**
   * Milliseconds until `confirm`, at the most; those of all keys then come together, so that they can share an answer.
   * It comes at once when somebody waits for idleness, and not at all when the key is asked for again.
   */
  readonly confirmWithin?: number;
  /** Told when `confirm` failed, or kept saying no: there is nobody left to answer to. */
  readonly onUnconfirmed: (key: Key, error: unknown) => void;
}

/** Work by key: one task a key at a time; what is asked for while a task is busy is answered by one further round. */
export interface KeyedQueue<Key, Result> {
  /** Resolves with the result of a round that started after this call. */
  run: (key: Key) => Promise<Result>;
  /** Keys that are being worked on or wait. */
  readonly depth: number;
  /** Resolves when nothing is being worked on, and hurries what there is. */
  idle: () => Promise<void>;
}

/** Further rounds because the world changed during the last one, before the poll is left to find what remains. */
const MAXIMUM_UNCONFIRMED_ROUNDS = 5;

interface Waiter<Result> {
  readonly resolve: (result: Result) => void;
  readonly reject: (reason: unknown) => void;
}

/** A key that is being worked on. */
interface Task<Result> {
  /** Those whom the next round answers. */
  waiters: Waiter<Result>[];
  /** Ends the pause before the look, while there is one. */
  goOn: () => void;
}

const NOTHING_TO_END = (): void => undefined;

/** The habit of controller-runtime's work queue: level-triggered, with one task per key and later requests collapsed. */
export function createKeyedQueue<Key, Result>(options: KeyedQueueOptions<Key, Result>): KeyedQueue<Key, Result> {
  const { identity, concurrency, work, onUnconfirmed, confirmWithin = 0 } = options;
  const tasks = new Map<string, Task<Result>>();
  const paused = new Set<Task<Result>>();
  const waitingForSlot: (() => void)[] = [];
  const waitingForIdle: (() => void)[] = [];
  let freeSlots = concurrency;
  let endOfPauses: NodeJS.Timeout | undefined;

  const takeSlot = async (): Promise<void> => {
    if (freeSlots > 0) {
      freeSlots--;
      return;
    }
    await new Promise<void>(resolve => waitingForSlot.push(resolve));
  };
  const giveSlot = (): void => {
    const next = waitingForSlot.shift();
    if (next) next();
    else freeSlots++;
  };

  const endPauses = (): void => {
    clearTimeout(endOfPauses);
    endOfPauses = undefined;
    for (const task of paused) task.goOn();
  };
  const pause = async (task: Task<Result>): Promise<void> => {
    endOfPauses ??= setTimeout(endPauses, confirmWithin);
    paused.add(task);
    giveSlot();
    await new Promise<void>(resolve => {
      task.goOn = () => {
        task.goOn = NOTHING_TO_END;
        paused.delete(task);
        resolve();
      };
    });
    await takeSlot();
  };

  /** @returns whether another round is needed although nobody asked for one */
  const round = async (key: Key, task: Task<Result>): Promise<boolean> => {
    const waiters = task.waiters;
    task.waiters = [];
    let done: Round<Result>;
    try {
      done = await work(key);
    } catch (error) {
      for (const { reject } of waiters) reject(error);
      if (waiters.length === 0) onUnconfirmed(key, error);
      return false;
    }
    for (const { resolve } of waiters) resolve(done.result);
    if (task.waiters.length === 0 && waitingForIdle.length === 0 && confirmWithin > 0) await pause(task);
    // The next round looks as well.
    if (task.waiters.length > 0) return false;
    try {
      return !(await done.confirm());
    } catch (error) {
      onUnconfirmed(key, error);
      return false;
    }
  };

  const runTask = async (key: Key, id: string, task: Task<Result>): Promise<void> => {
    await takeSlot();
    try {
      let unconfirmed = 0;
      for (;;) {
        const again = await round(key, task);
        unconfirmed = again ? unconfirmed + 1 : 0;
        if (unconfirmed > MAXIMUM_UNCONFIRMED_ROUNDS) {
          onUnconfirmed(key, new Error(`changed during each of ${MAXIMUM_UNCONFIRMED_ROUNDS + 1} rounds of work`));
          unconfirmed = 0;
        }
        if (unconfirmed === 0 && task.waiters.length === 0) return;
      }
    } finally {
      tasks.delete(id);
      giveSlot();
      if (tasks.size === 0) for (const resolve of waitingForIdle.splice(0)) resolve();
    }
  };

  return {
    run(key) {
      const id = identity(key);
      return new Promise<Result>((resolve, reject) => {
        const known = tasks.get(id);
        if (known) {
          known.waiters.push({ resolve, reject });
          known.goOn();
          return;
        }
        const task = { waiters: [{ resolve, reject }], goOn: NOTHING_TO_END };
        tasks.set(id, task);
        void runTask(key, id, task);
      });
    },
    get depth() {
      return tasks.size;
    },
    async idle() {
      if (tasks.size === 0) return;
      const idle = new Promise<void>(resolve => waitingForIdle.push(resolve));
      endPauses();
      await idle;
    },
  };
}
