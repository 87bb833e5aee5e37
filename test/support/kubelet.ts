import { setTimeout as sleep } from "node:timers/promises";
import type { Replica } from "./replica";

/** The liveness probe of Pepr's Deployments, in milliseconds; what they do not say is Kubernetes' default. */
const PROBE = { initialDelay: 10_000, period: 10_000, failureThreshold: 3 };

/** Milliseconds between SIGTERM and SIGKILL that the kubelet gives Pepr's pods (terminationGracePeriodSeconds). */
const GRACE_PERIOD = 5_000;

/** How a replica ended as the kubelet ends a pod: asked to, and killed when the pod's grace period is over. */
export interface Ended {
  /** Exit code, or the signal that ended it. */
  readonly how: number | string;
  readonly seconds: number;
}

export async function endAsKubelet(replica: Replica): Promise<Ended> {
  const start = performance.now();
  const over = new AbortController();
  const ended = replica.terminate().finally(() => {
    over.abort();
  });
  await Promise.race([ended, sleep(GRACE_PERIOD, undefined, { signal: over.signal }).catch(() => undefined)]);
  if (replica.pid !== undefined) await replica.kill();
  return { how: await ended, seconds: (performance.now() - start) / 1000 };
}

/**
 * Has a replica ended and started again when its liveness probe fails, until the signal. Pepr tries only once to read
 * its store; without, it neither watches nor answers admission requests, and its probe fails: the kubelet's restart is
 * part of how the module recovers.
 */
export async function keepLive(
  replica: Replica,
  signal: AbortSignal,
  restart: (replica: Replica) => Promise<unknown>,
): Promise<void> {
  let { pid } = replica;
  let failures = 0;
  let pause = PROBE.initialDelay;
  while (await passes(pause, signal)) {
    const isLive = await replica.isLive();
    const isSame = replica.pid === pid;
    failures = isLive || pid === undefined || !isSame ? 0 : failures + 1;
    pause = isSame ? PROBE.period : PROBE.initialDelay;
    if (failures === PROBE.failureThreshold) {
      await restart(replica);
      failures = 0;
      pause = PROBE.initialDelay;
    }
    ({ pid } = replica);
  }
}

/** @returns false when the signal came before */
async function passes(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(milliseconds, undefined, { signal, ref: false });
    return true;
  } catch {
    return false;
  }
}
