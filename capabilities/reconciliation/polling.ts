import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";
import type { Resynced, ResyncReport } from "./resync";
import { isUnderWay } from "./template-rollout";

/** Milliseconds until the poll after one that has to wait for services to become Ready. */
const EARLY_POLL = 6_000;

export interface PollingOptions {
  readonly resync: () => Promise<Resynced>;
  /** Told of each resync that succeeded. */
  readonly onResynced: (resynced: Resynced, at: Date) => void;
  /** What follows each poll of the timer. Never rejects. */
  readonly afterwards: () => Promise<void>;
  /** Milliseconds from one poll to the next. */
  readonly interval: number;
  readonly log: Log;
}

/** Polls MLflow and the cluster, one poll after the other. */
export interface Polling {
  /** Polls now, or joins the poll that is under way; undefined when it failed, which was logged. */
  readonly poll: () => Promise<ResyncReport | undefined>;
  /**
   * Polls now and then once every interval. A timer of ours, because Pepr's OnSchedule goes by the wall clock: it keeps the
   * time of its last run in the cluster, and after the clock was set back waits until that time comes again.
   */
  readonly start: () => void;
  /** Ends the timer and waits for the poll under way. */
  readonly stop: () => Promise<void>;
}

export function createPolling({ resync, onResynced, afterwards, interval, log }: PollingOptions): Polling {
  let running: Promise<ResyncReport | undefined> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let earlyTimer: NodeJS.Timeout | undefined;

  const pollOnce = async (): Promise<ResyncReport | undefined> => {
    const start = performance.now();
    try {
      const resynced = await resync();
      onResynced(resynced, new Date());
      const { report } = resynced;
      if (isGoingOn(resynced)) pollSoon();
      const fields = { ...report, duration_ms: Math.round(performance.now() - start) };
      if (report.created + report.updated + report.deleted > 0) log.info(fields, "Poll finished");
      else log.debug(fields, "Poll finished, nothing was changed");
      return report;
    } catch (error) {
      log.error({ cause: messageOf(error) }, "Poll failed, nothing was changed");
      return undefined;
    }
  };

  const poll = (): Promise<ResyncReport | undefined> => {
    running ??= pollOnce().finally(() => {
      running = undefined;
    });
    return running;
  };

  const pollSoon = (): void => {
    if (timer === undefined) return;
    clearTimeout(earlyTimer);
    earlyTimer = setTimeout(() => void poll(), EARLY_POLL);
  };

  return {
    poll,
    start() {
      const round = async (): Promise<void> => {
        await poll();
        await afterwards();
      };
      void round();
      timer ??= setInterval(() => void round(), interval);
    },
    async stop() {
      clearInterval(timer);
      clearTimeout(earlyTimer);
      timer = undefined;
      await running;
    },
  };
}

/** Whether something waits for a service to become Ready, which needs no whole interval. */
function isGoingOn({ heldRemovals, rollout }: Resynced): boolean {
  return heldRemovals.some(({ reason }) => reason === "successor is starting") || isUnderWay(rollout);
}
