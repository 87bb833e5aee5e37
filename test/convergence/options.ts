import { parseArgs } from "node:util";

/** What the command line asks for. */
export type ConvergenceOptions =
  | { readonly kind: "help" }
  | { readonly kind: "seeds"; readonly from: number; readonly seeds: number; readonly parallel: number }
  | { readonly kind: "soak"; readonly seed: number; readonly minutes: number };

export const HELP = `Drives the real MLflow, the real API server and three copies of the module at random, with faults, and checks that
the cluster ends where MLflow says.

Usage: npm run convergence -- [--seeds N] [--from N] [--parallel N]
       npm run convergence -- --seed N
       npm run soak -- [--minutes N] [--seed N]

  --seeds N      how many short runs, each with a seed of its own (20)
  --from N       the first seed (1)
  --seed N       one short run with this seed; for the soak, the seed of its sequence
  --parallel N   short runs at the same time, each on a testbed of its own (1)
  --minutes N    how long the soak takes (20)
  --help         show this text`;

/**
 * Reads the command line.
 *
 * @throws Error with one sentence that says what cannot be used
 */
export function convergenceOptionsFrom(argv: readonly string[]): ConvergenceOptions {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const { values } = parseArgs({
    args: [...argv],
    options: { seeds: text, from: text, seed: text, parallel: text, minutes: text, soak: flag, help: flag },
  });
  if (values.help) return { kind: "help" };
  const seed = wholeNumber("--seed", values.seed, 0);
  if (values.soak) {
    for (const name of ["seeds", "from", "parallel"] as const) {
      if (values[name] !== undefined) throw new Error(`--${name} is for short runs; a soak is one long sequence.`);
    }
    return { kind: "soak", seed: seed ?? 1, minutes: wholeNumber("--minutes", values.minutes, 1) ?? 20 };
  }
  if (values.minutes !== undefined) throw new Error("--minutes is for the soak: use npm run soak, or give --seeds.");
  const from = wholeNumber("--from", values.from, 0);
  const seeds = wholeNumber("--seeds", values.seeds, 1);
  if (seed !== undefined && (from !== undefined || seeds !== undefined)) {
    throw new Error("--seed means exactly one run: leave out --from and --seeds.");
  }
  const parallel = wholeNumber("--parallel", values.parallel, 1) ?? 1;
  return { kind: "seeds", from: seed ?? from ?? 1, seeds: seed === undefined ? (seeds ?? 20) : 1, parallel };
}

function wholeNumber(flag: string, value: string | undefined, least: number): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (/^\d+$/.test(value) && number >= least && number <= 0x7fffffff) return number;
  throw new Error(`${flag} must be a whole number of at least ${least}, and is "${value}".`);
}
