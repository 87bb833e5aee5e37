import { useEffect, useState } from "preact/hooks";

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

/** Reads a path, and again when `occasion` changes, or `ticks`; what is shown stays meanwhile. */
export function useReading<T>(path: string, occasion: unknown, ticks = 0): Reading<T> {
  const [reading, setReading] = useState<Reading<T> & { readonly path: string; readonly at: number }>();
  const known = reading?.path === path ? reading : undefined;
  useEffect(() => {
    let wanted = true;
    const read = async (): Promise<void> => {
      try {
        const value = await readJson<T>(path);
        if (wanted) setReading({ path, value, problem: undefined, at: Date.now() });
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error);
        if (wanted) setReading({ path, value: known?.value, problem, at: Date.now() });
      }
    };
    const wait = known === undefined ? 0 : Math.max(0, known.at + PAUSE - Date.now());
    const timer = setTimeout(() => void read(), wait);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [path, occasion, ticks]);
  return { value: known?.value, problem: known?.problem };
}
