import { useEffect, useRef, useState } from "preact/hooks";

/** Milliseconds for an answer. */
const TIMEOUT = 20_000;

/** Reads what the module says at a path. @throws Error with what is wrong, for a person */
export async function readJson<T>(path: string): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT), headers: { accept: "application/json" } });
  } catch {
    throw new Error("the module cannot be reached");
  }
  const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
  // A proxy before it asks for a new login in this way.
  if (!isJson) throw new Error(`the module did not answer (${response.status}); reload the page`);
  const answer = (await response.json()) as T & { readonly message?: string };
  if (!response.ok) throw new Error(answer.message ?? `the module answered ${response.status}`);
  return answer;
}

/** What was read, as far as it is. */
export interface Reading<T> {
  /** Of before, while it is read again, and when that failed. */
  readonly value: T | undefined;
  readonly problem: string | undefined;
}

/** Milliseconds between two times that the same is read, however often it is wanted. */
const PAUSE = 1_000;

/** Reads a path again and again, one reading at a time. */
export interface Reader {
  /** What is read from now on is wanted: at once, or after the reading that is under way. */
  readonly ask: () => void;
  readonly stop: () => void;
}

/** @param tell gets what each reading comes to, and what was read before where it failed */
export function createReader<T>(
  read: () => Promise<T>,
  tell: (reading: { readonly value?: T; readonly problem: string | undefined }) => void,
): Reader {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let [isStopped, isReading, isAsked] = [false, false, false];
  let endedAt = -Infinity;
  const readOnce = async (): Promise<void> => {
    [isReading, isAsked] = [true, false];
    const reading = await read().then(
      value => ({ value, problem: undefined }),
      (error: unknown) => ({ problem: error instanceof Error ? error.message : String(error) }),
    );
    isReading = false;
    endedAt = Date.now();
    if (isStopped) return;
    tell(reading);
    goOn();
  };
  const goOn = (): void => {
    if (isReading || !isAsked) return;
    clearTimeout(timer);
    timer = setTimeout(() => void readOnce(), Math.max(0, endedAt + PAUSE - Date.now()));
  };
  return {
    ask() {
      isAsked = true;
      goOn();
    },
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

/** Reads a path, and again when `occasion` changes, or `ticks`; what is shown stays meanwhile. */
export function useReading<T>(path: string, occasion: unknown, ticks = 0): Reading<T> {
  const [reading, setReading] = useState<Reading<T> & { readonly path: string }>();
  const reader = useRef<Reader | undefined>(undefined);
  useEffect(() => {
    const own = createReader(
      () => readJson<T>(path),
      told => {
        setReading(before => ({ value: before?.path === path ? before.value : undefined, ...told, path }));
      },
    );
    reader.current = own;
    return own.stop;
  }, [path]);
  useEffect(() => {
    reader.current?.ask();
  }, [path, occasion, ticks]);
  const known = reading?.path === path ? reading : undefined;
  return { value: known?.value, problem: known?.problem };
}
