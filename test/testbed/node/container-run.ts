import { setTimeout as sleep } from "node:timers/promises";
import { startProcess } from "./container-process";
import type { ContainerProcess, ProcessSpecification } from "./container-process";
import type { Probe } from "./pod";
import { NOT_STARTED } from "./pod-status";
import type { ContainerRecord, ContainerState } from "./pod-status";
import { afterProbe } from "./probes";

/** Seconds that a container must have run for its next crash to count as the first one again. */
const LONG_RUN = 600;

/**
 * Seconds until a container is started again after this many crashes in a row: at once, then after 10 seconds, doubling
 * up to five minutes, as a kubelet does.
 */
export function restartDelay(crashes: number): number {
  return crashes <= 1 ? 0 : Math.min(300, 10 * 2 ** (crashes - 2));
}

/** Runs one container of a pod: starts its process, starts it again when it ends, and keeps record. */
export class ContainerRun {
  record: ContainerRecord = NOT_STARTED;
  #process: ContainerProcess | undefined;
  readonly #stopping = new AbortController();

  constructor(
    private readonly name: string,
    private readonly specification: ProcessSpecification,
    private readonly readiness: { readonly probe: Probe | undefined; readonly ask: () => Promise<boolean> },
    private readonly onChange: () => void,
  ) {}

  /** Runs it until it has ended well; for an init container. False when the pod was stopped before. */
  runOnce(): Promise<boolean> {
    return this.#run(true);
  }

  /** Runs it until the pod is stopped. */
  async runAlways(): Promise<void> {
    await this.#run(false);
  }

  async stop(graceSeconds: number): Promise<void> {
    this.#stopping.abort();
    await this.#process?.stop(graceSeconds);
  }

  async #run(onlyOnce: boolean): Promise<boolean> {
    const { signal } = this.#stopping;
    for (let crashes = 0; !signal.aborted; ) {
      const current = startProcess(this.specification);
      this.#process = current;
      this.#become({ kind: "running", startedAt: Date.now() });
      const over = new AbortController();
      if (!onlyOnce) void this.#watchReadiness(over.signal);
      const end = await current.ended;
      over.abort();
      this.#become({ kind: "terminated", end });
      if (onlyOnce && end.exitCode === 0) return true;
      crashes = end.finishedAt - end.startedAt > LONG_RUN * 1000 ? 1 : crashes + 1;
      await pause(1, signal); // long enough for others to see how it ended
      const delay = restartDelay(crashes);
      if (delay > 0) {
        const message = `back-off ${delay}s restarting failed container=${this.name}`;
        this.#become({ kind: "waiting", reason: "CrashLoopBackOff", message });
        await pause(delay, signal);
      }
      this.record = { ...this.record, restarts: this.record.restarts + 1 };
    }
    return false;
  }

  async #watchReadiness(over: AbortSignal): Promise<void> {
    const { probe = {}, ask } = this.readiness;
    await pause(probe.initialDelaySeconds ?? 0, over);
    for (let known = { ready: false, contrary: 0 }; ; ) {
      const answer = await ask();
      if (over.aborted) return;
      known = afterProbe(known, answer, probe);
      if (known.ready !== this.record.ready) this.#change({ ready: known.ready });
      await pause(probe.periodSeconds ?? 10, over);
    }
  }

  #become(state: ContainerState): void {
    const { state: before } = this.record;
    this.#change({ state, ready: false, ...(before.kind === "terminated" && { lastEnd: before.end }) });
  }

  #change(change: Partial<ContainerRecord>): void {
    this.record = { ...this.record, ...change };
    this.onChange();
  }
}

async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await sleep(seconds * 1000, undefined, { signal }).catch(() => undefined);
}
