// `npm run convergence` and `npm run soak`; see options.ts for what they take.
import { messageOf } from "../../capabilities/observability/logging";
import { untilAskedToStop } from "../testbed/stopping";
import { startLane } from "./lane";
import type { Lane } from "./lane";
import { convergenceOptionsFrom, HELP } from "./options";
import type { ConvergenceOptions } from "./options";
import { explain, lineOf, summaryOf } from "./report";
import { converged, runSeed } from "./run-seed";
import type { Played } from "./run-seed";
import { soak } from "./soak";

async function main(): Promise<number> {
  const options = convergenceOptionsFrom(process.argv.slice(2));
  if (options.kind === "help") {
    console.log(HELP);
    return 0;
  }
  const lanes: Lane[] = [];
  const work = async (): Promise<number> => {
    for (let lane = 0; lane < (options.kind === "seeds" ? options.parallel : 1); lane++) {
      lanes.push(await startLane(progress));
    }
    const [first] = lanes;
    if (options.kind === "soak" && first !== undefined) return await soak(first, options);
    return options.kind === "seeds" ? await playSeeds(lanes, options) : 1;
  };
  const ended = await Promise.race([work(), untilAskedToStop()]);
  // In the middle of a start or of a seed: the replicas end with our process.
  if (typeof ended === "string") console.error(ended);
  await Promise.all(lanes.map(lane => lane.stop()));
  return typeof ended === "string" ? 130 : ended;
}

function progress(message: string): void {
  console.error(message);
}

async function playSeeds(
  lanes: readonly Lane[],
  { from, seeds }: Extract<ConvergenceOptions, { kind: "seeds" }>,
): Promise<number> {
  const all: Played[] = [];
  let next = from;
  const playOn = async (lane: Lane): Promise<void> => {
    while (next < from + seeds) {
      const seed = next++;
      const played = await runSeed(lane, seed);
      all.push(played);
      console.log(lineOf(played));
      if (!converged(played)) console.log(explain(played, `npm run convergence -- --seed ${seed}`));
      else if (played.settled.errors.length > 0) console.log(played.settled.errors.map(line => `  ${line}`).join("\n"));
    }
  };
  await Promise.all(lanes.map(playOn));
  console.log(`\n${summaryOf(all)}`);
  return all.every(converged) ? 0 : 1;
}

main().then(
  code => process.exit(code),
  (error: unknown) => {
    console.error(messageOf(error));
    process.exit(1);
  },
);
