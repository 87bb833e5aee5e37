/** What a promise was rejected with; a test that expects a failure must not pass because there was none. */
export async function rejectionOf(promise: Promise<unknown>): Promise<Error> {
  return await promise.then(
    value => {
      throw new Error(`expected a rejection, but it resolved with ${JSON.stringify(value)}`);
    },
    (error: unknown) => {
      if (error instanceof Error) return error;
      throw new TypeError(`expected an Error, but it was rejected with ${String(error)}`);
    },
  );
}

/** What a function throws. */
export function thrownBy(act: () => unknown): Error {
  try {
    act();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("expected an Error to be thrown");
}

/** A promise that a test resolves or rejects when it wants to. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

export function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** Lets everything run that can run without input from outside. */
export async function settle(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve));
}
