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
  /** Told when `confirm` failed, or kept saying no: there is nobody left to answer to. */
  readonly onUnconfirmed: (key: Key, error: unknown) => void;
}

/** Work by key: one task a key at a time; what is asked for while a task is busy is answered by one further round. */
export interface KeyedQueue<Key, Result> {
  /** Resolves with the result of a round that started after this call. */
  run: (key: Key) => Promise<Result>;
  /** Keys that are being worked on or wait. */
  readonly depth: number;
  /** Resolves when nothing is being worked on. */
  idle: () => Promise<void>;
}

/** Further rounds because the world changed during the last one, before the poll is left to find what remains. */
const MAXIMUM_UNCONFIRMED_ROUNDS = 5;

interface Waiter<Result> {
  readonly resolve: (result: Result) => void;
  readonly reject: (reason: unknown) => void;
}

/** The habit of controller-runtime's work queue: level-triggered, with one task per key and later requests collapsed. */
export function createKeyedQueue<Key, Result>(options: KeyedQueueOptions<Key, Result>): KeyedQueue<Key, Result> {
  const { identity, concurrency, work, onUnconfirmed } = options;
  const tasks = new Map<string, Waiter<Result>[]>();
  const waitingForSlot: (() => void)[] = [];
  const waitingForIdle: (() => void)[] = [];
  let freeSlots = concurrency;

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

  /** @returns whether another round is needed although nobody asked for one */
  const round = async (key: Key, waiters: readonly Waiter<Result>[], asked: () => boolean): Promise<boolean> => {
    let done: Round<Result>;
    try {
      done = await work(key);
    } catch (error) {
      for (const { reject } of waiters) reject(error);
      if (waiters.length === 0) onUnconfirmed(key, error);
      return false;
    }
    for (const { resolve } of waiters) resolve(done.result);
    if (asked()) return false;
    try {
      return !(await done.confirm());
    } catch (error) {
      onUnconfirmed(key, error);
      return false;
    }
  };

  const runTask = async (key: Key, id: string): Promise<void> => {
    await takeSlot();
    try {
      let unconfirmed = 0;
      for (;;) {
        const waiters = tasks.get(id) ?? [];
        tasks.set(id, []);
        const asked = (): boolean => (tasks.get(id)?.length ?? 0) > 0;
        const again = await round(key, waiters, asked);
        unconfirmed = again ? unconfirmed + 1 : 0;
        if (unconfirmed > MAXIMUM_UNCONFIRMED_ROUNDS) {
          onUnconfirmed(key, new Error(`changed during each of ${MAXIMUM_UNCONFIRMED_ROUNDS + 1} rounds of work`));
          unconfirmed = 0;
        }
        if (unconfirmed === 0 && !asked()) return;
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
        const waiters = tasks.get(id);
        if (waiters) {
          waiters.push({ resolve, reject });
          return;
        }
        tasks.set(id, [{ resolve, reject }]);
        void runTask(key, id);
      });
    },
    get depth() {
      return tasks.size;
    },
    async idle() {
      if (tasks.size > 0) await new Promise<void>(resolve => waitingForIdle.push(resolve));
    },
  };
}
