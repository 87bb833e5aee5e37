/** The result of one round of work on a key, and the look afterwards that tells whether another round is needed. */
export interface Round<Result> {
  readonly result: Result;
  /** true when nothing changed meanwhile. */
  readonly confirm: () => Promise<boolean>;
}

export interface KeyedQueueOptions<Key, Result, Cause> {
  /** Two keys of the same identity are the same. */
  readonly identity: (key: Key) => string;
  /** Keys worked on at the same time. */
  readonly concurrency: number;
  /**
   * Does the work, for the cause of those whom it answers (see `merge`). It must read the state of the world itself, after
   * it was called. A further round that nobody asked for has the cause of the one before.
   */
  readonly work: (key: Key, cause: Cause) => Promise<Round<Result>>;
  /** The cause of a round that answers for both: the stronger one. */
  readonly merge: (one: Cause, other: Cause) => Cause;
  /**
   * Milliseconds that a round with this cause is held back, 0 for not at all. Whoever comes meanwhile is answered by the same
   * round, and a cause that is not to be held back lets it begin at once; so does somebody who waits for idleness.
   */
  readonly holdBack?: (key: Key, cause: Cause) => number;
  /**
   * Milliseconds until `confirm`, at the most; those of all keys then come together, so that they can share an answer.
   * It comes at once when somebody waits for idleness, and not at all when the key is asked for again.
   */
  readonly confirmWithin?: number;
  /** Told when `confirm` failed, or kept saying no: there is nobody left to answer to. */
  readonly onUnconfirmed: (key: Key, error: unknown) => void;
}

/** Work by key: one task a key at a time; what is asked for while a task is busy is answered by one further round. */
export interface KeyedQueue<Key, Result, Cause> {
  /**
   * Resolves with the result of a round that started after this call. All whom the same round answers get the very same
   * promise, so that those who ask often cost nothing, and can see that it is still the one that they follow.
   */
  run: (key: Key, cause: Cause) => Promise<Result>;
  /** Keys that are being worked on or wait. */
  readonly depth: number;
  /** Resolves when nothing is being worked on, and hurries what there is. What is held back from then on is not waited for. */
  idle: () => Promise<void>;
}

/** Further rounds because the world changed during the last one, before the poll is left to find what remains. */
const MAXIMUM_UNCONFIRMED_ROUNDS = 5;

/** A round to come, and those who asked for it. */
interface Asked<Result, Cause> {
  readonly answer: Promise<Result>;
  readonly resolve: (result: Result) => void;
  readonly reject: (reason: unknown) => void;
  cause: Cause;
}

/** A key that is being worked on. */
interface Task<Result, Cause> {
  /** What the next round answers. */
  next: Asked<Result, Cause> | undefined;
  /** Ends the pause before the look, or before a round, while there is one. */
  goOn: () => void;
}

const NOTHING_TO_END = (): void => undefined;

/** The habit of controller-runtime's work queue: level-triggered, with one task per key and later requests collapsed. */
export function createKeyedQueue<Key, Result, Cause>(
  options: KeyedQueueOptions<Key, Result, Cause>,
): KeyedQueue<Key, Result, Cause> {
  const { identity, concurrency, work, merge, onUnconfirmed, holdBack = () => 0, confirmWithin = 0 } = options;
  const tasks = new Map<string, Task<Result, Cause>>();
  /** Before their second look. */
  const paused = new Set<Task<Result, Cause>>();
  /** Before a round that is held back. */
  const heldBack = new Set<Task<Result, Cause>>();
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
  const tellIfIdle = (): void => {
    if (tasks.size === heldBack.size) for (const resolve of waitingForIdle.splice(0)) resolve();
  };

  const endPauses = (): void => {
    clearTimeout(endOfPauses);
    endOfPauses = undefined;
    for (const task of paused) task.goOn();
  };
  /** Waits without a place until `goOn` is called. */
  const rest = async (task: Task<Result, Cause>, among: Set<Task<Result, Cause>>): Promise<void> => {
    among.add(task);
    giveSlot();
    await new Promise<void>(resolve => {
      task.goOn = () => {
        task.goOn = NOTHING_TO_END;
        among.delete(task);
        resolve();
      };
    });
    await takeSlot();
  };
  const restBeforeLook = async (task: Task<Result, Cause>): Promise<void> => {
    endOfPauses ??= setTimeout(endPauses, confirmWithin);
    await rest(task, paused);
  };
  const restBeforeRound = async (key: Key, task: Task<Result, Cause>): Promise<void> => {
    const milliseconds = task.next === undefined ? 0 : holdBack(key, task.next.cause);
    if (milliseconds <= 0) return;
    // A process that has nothing else to do need not wait for it.
    const end = setTimeout(() => {
      task.goOn();
    }, milliseconds).unref();
    const rested = rest(task, heldBack);
    tellIfIdle();
    await rested;
    clearTimeout(end);
  };

  const ask = (cause: Cause): Asked<Result, Cause> => {
    let resolve!: (result: Result) => void;
    let reject!: (reason: unknown) => void;
    const answer = new Promise<Result>((onResult, onFailure) => {
      resolve = onResult;
      reject = onFailure;
    });
    return { answer, resolve, reject, cause };
  };

  /** Whoever asks from now on is answered by the round after this one. */
  const takeNext = (task: Task<Result, Cause>): Asked<Result, Cause> | undefined => {
    const { next } = task;
    task.next = undefined;
    return next;
  };

  /** @returns whether another round is needed although nobody asked for one */
  const round = async (
    key: Key,
    cause: Cause,
    asked: Asked<Result, Cause> | undefined,
    task: Task<Result, Cause>,
  ): Promise<boolean> => {
    let done: Round<Result>;
    try {
      done = await work(key, cause);
    } catch (error) {
      if (asked) asked.reject(error);
      else onUnconfirmed(key, error);
      return false;
    }
    asked?.resolve(done.result);
    if (task.next === undefined && waitingForIdle.length === 0 && confirmWithin > 0) await restBeforeLook(task);
    // The next round looks as well, if it comes now.
    if (task.next !== undefined && holdBack(key, task.next.cause) <= 0) return false;
    try {
      return !(await done.confirm());
    } catch (error) {
      onUnconfirmed(key, error);
      return false;
    }
  };

  const runTask = async (key: Key, first: Cause, id: string, task: Task<Result, Cause>): Promise<void> => {
    await takeSlot();
    try {
      let cause = first;
      let unconfirmed = 0;
      do {
        // What changed meanwhile is not held back.
        if (unconfirmed === 0) await restBeforeRound(key, task);
        const asked = takeNext(task);
        if (asked) cause = unconfirmed > 0 ? merge(cause, asked.cause) : asked.cause;
        unconfirmed = (await round(key, cause, asked, task)) ? unconfirmed + 1 : 0;
        if (unconfirmed > MAXIMUM_UNCONFIRMED_ROUNDS) {
          onUnconfirmed(key, new Error(`changed during each of ${MAXIMUM_UNCONFIRMED_ROUNDS + 1} rounds of work`));
          unconfirmed = 0;
        }
      } while (unconfirmed > 0 || task.next !== undefined);
    } finally {
      tasks.delete(id);
      giveSlot();
      tellIfIdle();
    }
  };

  return {
    run(key, cause) {
      const id = identity(key);
      const known = tasks.get(id);
      if (known === undefined) {
        const next = ask(cause);
        const task = { next, goOn: NOTHING_TO_END };
        tasks.set(id, task);
        void runTask(key, cause, id, task);
        return next.answer;
      }
      if (known.next) known.next.cause = merge(known.next.cause, cause);
      else known.next = ask(cause);
      const { next } = known;
      if (!heldBack.has(known) || holdBack(key, next.cause) <= 0) known.goOn();
      return next.answer;
    },
    get depth() {
      return tasks.size;
    },
    async idle() {
      for (const task of heldBack) task.goOn();
      if (tasks.size === 0) return;
      const idle = new Promise<void>(resolve => waitingForIdle.push(resolve));
      endPauses();
      await idle;
    },
  };
}
