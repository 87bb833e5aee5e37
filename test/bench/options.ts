import { parseArgs } from "node:util";
import { TESTBED_FLAGS } from "../testbed/options";
import { FULL_POLL, QUICK_SIZES, SIZES } from "./world";
import type { Sizes } from "./world";

/** The parts that can be measured by themselves, in the order in which they run. */
export const PARTS = ["start", "deliveries", "rejections", "http-clients", "poll", "burst", "status-tags"] as const;

export type PartOfBench = (typeof PARTS)[number];

export const HELP = `Measures the module between real MLflow and Kubernetes, and beside each figure what the two allow. KServe's controller
and its admission webhooks are stopped for it: they would compete for the processors.

Usage: npm run bench [-- --only PART,PART] [--full | --quick] [--json FILE] [--document FILE] [--profile FOLDER]
       npm run bench -- --target URL --secret SECRET --kubeconfig FILE --mlflow URL

  --only PART,PART    ${PARTS.join(", ")} (all)
  --full              polls of ${FULL_POLL} versions too
  --quick             so small that it shows only that the bench works
  --json FILE         write the results there
  --document FILE     write tables and plot into this page, between its marks; docs/performance.md is made so
  --profile FOLDER    let the measured processes write profiles of their processor time (V8's .cpuprofile) there
  --target URL        send the deliveries to this webhook of another server, which works between the MLflow and the
                      cluster that --mlflow and --kubeconfig name, and measure only that
  --secret SECRET     what its deliveries are signed with`;

export interface BenchOptions {
  readonly help: boolean;
  readonly only: readonly PartOfBench[];
  readonly sizes: Sizes;
  readonly json: string | undefined;
  readonly document: string | undefined;
  readonly profile: string | undefined;
  readonly target: { readonly url: string; readonly secret: string } | undefined;
}

/** @throws Error with one sentence when something cannot be used */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      ...TESTBED_FLAGS,
      only: { type: "string", default: PARTS.join(",") },
      full: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      document: { type: "string" },
      profile: { type: "string" },
      target: { type: "string" },
      secret: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const { full, quick, target, secret } = values;
  if (full && quick) throw new Error("--full and --quick are opposites: give one of them.");
  if ((target === undefined) !== (secret === undefined)) throw new Error("--target and --secret go together.");
  if (target !== undefined && !URL.canParse(target)) throw new Error(`--target must be a URL, and is "${target}".`);
  return {
    help: values.help,
    only: values.only.split(",").map(partNamed),
    sizes: quick ? QUICK_SIZES : full ? { ...SIZES, polls: [...SIZES.polls, FULL_POLL] } : SIZES,
    json: values.json,
    document: values.document,
    profile: values.profile,
    target: target === undefined || secret === undefined ? undefined : { url: target, secret },
  };
}

function partNamed(name: string): PartOfBench {
  const part = PARTS.find(one => one === name);
  if (part === undefined) throw new Error(`--only knows ${PARTS.join(", ")}, and not "${name}".`);
  return part;
}
