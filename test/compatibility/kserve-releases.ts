import type { KserveModule } from "../testbed/go-binaries";

/** The folders under test/testbed/go/ that pin them; the last one is what everything else is tested with. */
const MODULES: Readonly<Record<string, KserveModule>> = {
  "0.15.2": "kserve-0.15",
  "0.19.0": "kserve-0.19",
  "0.20.0": "kserve",
};

/**
 * Releases of KServe that can be built from their Go module: what 0.16 and 0.17 require does not compile together, and 0.18
 * is not on the module proxies.
 */
export const KSERVE_RELEASES: readonly string[] = Object.keys(MODULES);

/** @throws Error for a release that no folder pins */
export function kserveModule(release: string): KserveModule {
  const module = MODULES[release];
  if (module !== undefined) return module;
  throw new Error(`KServe ${release} is not pinned here: there are ${KSERVE_RELEASES.join(", ")}`);
}
