import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../observability/logging";
import { messageOf } from "../observability/logging";

/** Milliseconds for work under way when the process is asked to end; Pepr's pods have 5 s (terminationGracePeriodSeconds). */
const FINISH_WITHIN = 4_000;

/**
 * Lets work under way come to its end when the process is asked to end (SIGTERM), before anybody else hears of it: Pepr
 * ends the process as soon as its own server is closed, which would cut off the deliveries that the module is working on.
 * To be called after all others have registered their handlers.
 *
 * @param finish stops taking work, and resolves when none is left
 * @param within milliseconds after which the process ends all the same
 */
export function finishBeforeExit(finish: () => Promise<void>, within = FINISH_WITHIN): void {
  const others = process.listeners("SIGTERM");
  process.removeAllListeners("SIGTERM");
  process.once("SIGTERM", signal => {
    void Promise.race([finish(), sleep(within)]).finally(() => {
      for (const listener of others) listener(signal);
      if (others.length === 0) process.exit(143);
    });
  });
}

/**
 * Ends the process with an exit code, once work under way has come to its end.
 *
 * @param finish as of {@link finishBeforeExit}
 * @param within milliseconds after which the process ends all the same
 */
export async function exitAfter(finish: () => Promise<void>, code: number, within = FINISH_WITHIN): Promise<never> {
  await Promise.race([finish(), sleep(within)]).catch(() => undefined);
  process.exit(code);
}

/**
 * Keeps the process alive when a promise is rejected that nobody waits for, in our code or a library's: Node's default is
 * to end the process, which would let one forgotten error take all work under way with it. It is logged as the bug it is.
 */
export function surviveUnhandledRejections(log: Log): void {
  process.on("unhandledRejection", reason => {
    const stack = reason instanceof Error ? reason.stack : undefined;
    log.error(
      { cause: messageOf(reason), ...(stack === undefined ? {} : { stack }) },
      "Unexpected error, please report it",
    );
  });
}
