import { generatePlan } from "./generator";
import type { Lane } from "./lane";
import type { Plan } from "./operations";
import { openSession } from "./session";
import type { JournalEntry } from "./session";
import { settle } from "./settling";
import type { Settled } from "./settling";

/** How one piece of music with its end went. */
export interface Played {
  readonly seed: number;
  readonly journal: readonly JournalEntry[];
  readonly settled: Settled;
  readonly violations: readonly string[];
  readonly faults: ReadonlyMap<string, number>;
  /** Seconds that all of it took, start and end of the replicas included. */
  readonly seconds: number;
  readonly logFiles: readonly string[];
}

/** Milliseconds of music in a short run. */
const SHORT = 4000;

/** The plan of a short run on this lane. */
function shortPlan(seed: number, lane: Lane): Plan {
  const pausable = (["mlflow", "kube-apiserver"] as const).filter(part => lane.parts[part] !== undefined);
  return generatePlan(seed, { duration: SHORT, steps: [40, 80], pausable, restartable: [] });
}

/** Plays a seed on fresh replicas in a fresh namespace, and says how it ended. */
export async function runSeed(lane: Lane, seed: number): Promise<Played> {
  const start = performance.now();
  const plan = shortPlan(seed, lane);
  const session = await openSession(lane, plan);
  try {
    const journal = await session.play(plan);
    const settled = await settle(session);
    return {
      seed,
      journal,
      settled,
      violations: await session.violations(),
      faults: session.faults.counts,
      seconds: (performance.now() - start) / 1000,
      logFiles: session.replicas.map(({ logFile }) => logFile),
    };
  } finally {
    await session.close();
  }
}

/** Whether the module did what it promises. */
export function converged({ settled, violations }: Pick<Played, "settled" | "violations">): boolean {
  return settled.differences.length === 0 && violations.length === 0;
}
