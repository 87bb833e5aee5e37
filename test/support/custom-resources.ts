import type { Kubectl } from "../testbed/kubectl";
import { waitFor } from "./waiting";

/**
 * Waits until the API server serves CRDs. `kubectl wait` alone fails at once where one has no conditions at all yet.
 * @param which arguments that name them: files, or `crd/NAME`
 * @throws Error when they are not there after four minutes
 */
export async function customResourcesEstablished(kubectl: Kubectl, which: readonly string[]): Promise<void> {
  const wait = ["wait", "--for=condition=Established", "--timeout=180s", ...which];
  await waitFor("the CRDs", async () => (await kubectl(wait), true), 240_000);
}
