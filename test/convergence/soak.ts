import { execFileSync } from "node:child_process";
import type { Replica } from "../support/replica";
import { generatePlan } from "./generator";
import type { Lane } from "./lane";
import { explain, lineOf, summaryOf, table } from "./report";
import { converged } from "./run-seed";
import type { Played } from "./run-seed";
import { openSession } from "./session";
import { settle } from "./settling";

/** Milliseconds of music between two checks. */
const MUSIC = 50_000;

/** After so many checks all models are deleted at once. */
const CLEARED_AFTER = 4;

/** Plays one long sequence on the same replicas, with a check about every minute. @returns the exit code */
export async function soak(lane: Lane, { seed, minutes }: { seed: number; minutes: number }): Promise<number> {
  const end = Date.now() + minutes * 60_000;
  const start = Date.now();
  const session = await openSession(lane, { seed, hasNeighbour: true });
  const all: Played[] = [];
  const memory: string[][] = [];
  try {
    for (let round = 0; Date.now() < end; round++) {
      const began = performance.now();
      if (round % CLEARED_AFTER === CLEARED_AFTER - 1) await session.clearModels();
      const plan = generatePlan(seed + round, {
        duration: MUSIC,
        steps: [400, 600],
        pausable: ["mlflow", "kube-apiserver", "etcd"],
        restartable: ["mlflow", "kube-apiserver", "etcd"],
      });
      const journal = await session.play(plan);
      const played: Played = {
        seed: plan.seed,
        journal,
        settled: await settle(session),
        violations: await session.violations(),
        faults: session.faults.counts,
        seconds: (performance.now() - began) / 1000,
        logFiles: session.replicas.map(({ logFile }) => logFile),
      };
      all.push(played);
      const row = session.replicas.map(residentMebibytes);
      memory.push([((Date.now() - start) / 60_000).toFixed(1), ...row]);
      console.log(`${lineOf(played)}; memory of watcher and endpoints: ${row.join(", ")} MiB`);
      if (!converged(played)) {
        const replay = `npm run soak -- --minutes ${minutes} --seed ${seed} (round ${round + 1})`;
        console.log(explain(played, replay));
      }
    }
  } finally {
    await session.close();
  }
  console.log(`\n${summaryOf(all)}`);
  console.log(`\n${table(["minutes", "watcher MiB", "endpoint 1 MiB", "endpoint 2 MiB"], memory)}`);
  return all.every(converged) ? 0 : 1;
}

/** Resident memory of a process, as `ps` tells it. A replica that was restarted begins anew. */
function residentMebibytes({ pid }: Replica): string {
  if (pid === undefined) return "down";
  const kibibytes = Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" }));
  return (kibibytes / 1024).toFixed(0);
}
