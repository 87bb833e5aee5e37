import fc from "fast-check";

/** What one check came to. */
export interface Checked {
  /** Inputs that were tried, shrinking not counted. */
  readonly inputs: number;
  /** What did not hold and the smallest input that shows it; undefined when all was well. */
  readonly failure?: { readonly replay: string; readonly report: string };
}

/** Which inputs are tried. */
export interface CheckOptions {
  readonly seed?: number;
  /** Tells fast-check which of the seed's inputs to try, as a failure prints it. */
  readonly path?: string;
  readonly numRuns: number;
}

/** Something that holds whatever comes: tried on a few inputs by a test, on millions by `npm run fuzz`. */
export interface FuzzProperty {
  /** Completes "for every input it holds that …", and names the property on the command line. */
  readonly name: string;
  readonly check: (options: CheckOptions) => Promise<Checked>;
  /** @throws Error with the smallest input for which it does not hold, its seed and its path */
  readonly assert: (options: CheckOptions) => Promise<void>;
}

/**
 * @param holds throws when it does not hold
 * @param size the inputs that one value counts as: a batch of requests is many
 */
export function fuzzProperty<T>(
  name: string,
  inputs: fc.Arbitrary<T>,
  holds: (input: T) => void | Promise<void>,
  size: (input: T) => number = () => 1,
): FuzzProperty {
  const check: FuzzProperty["check"] = async options => {
    let tried = 0;
    const property = fc.asyncProperty(inputs, async input => {
      tried += size(input);
      await holds(input);
    });
    const details = await fc.check(property, options);
    if (!details.failed) return { inputs: tried };
    const replay = `${details.seed}:${details.counterexamplePath ?? ""}`;
    const cause = String(details.errorInstance);
    return { inputs: tried, failure: { replay, report: `${cause}\n${fc.defaultReportMessage(details) ?? ""}` } };
  };
  return {
    name,
    check,
    async assert(options) {
      const { failure } = await check(options);
      if (failure !== undefined) throw new Error(`It does not hold that ${name}: ${failure.report}`);
    },
  };
}
