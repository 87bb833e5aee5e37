import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../capabilities/observability/logging";

/**
 * Asks again and again until there is an answer.
 *
 * @param what what is waited for, for the error
 * @param timeout milliseconds
 * @throws Error when there is none in time; the last error of `probe` is its cause
 */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  timeout = 90_000,
): Promise<T> {
  const end = Date.now() + timeout;
  let failure: unknown;
  while (Date.now() < end) {
    try {
      const answer = await probe();
      if (answer !== undefined) return answer;
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    await sleep(50);
  }
  if (failure === undefined) throw new Error(`${what}: not within ${timeout / 1000} s`);
  throw new Error(`${what}: not within ${timeout / 1000} s: ${messageOf(failure)}`, { cause: failure });
}
