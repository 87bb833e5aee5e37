import type { TestProject } from "vitest/node";
import { startTestbed, testbedOptionsFrom } from "./index";
import { findChromium, findProgram } from "./path-lookup";

declare module "vitest" {
  // What tests get by inject("kubeconfig") and so on; see Testbed for each.
  interface ProvidedContext {
    kubeconfig: string;
    mlflowTrackingUri: string;
    python: string;
    kubectl: string;
    logDirectory: string;
  }
}

/** Starts one testbed for a whole run of vitest; KUBECONFIG and MLFLOW_TRACKING_URI name systems to use instead. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  warnOfMissingPrograms();
  const testbed = await startTestbed({
    ...testbedOptionsFrom([], process.env),
    progress: message => {
      console.error(message);
    },
  });
  project.provide("kubeconfig", testbed.kubeconfig);
  project.provide("mlflowTrackingUri", testbed.mlflowTrackingUri);
  project.provide("python", testbed.python);
  project.provide("kubectl", testbed.kubectl);
  project.provide("logDirectory", testbed.logDirectory);
  console.error(`The testbed is ready. Its logs: ${testbed.logDirectory}`);
  return () => testbed.stop();
}

/** What the testbed can do without and some tests cannot: better known now than after a quarter of an hour. */
function warnOfMissingPrograms(): void {
  const found = { prometheus: findProgram("promtool") && findProgram("prometheus"), chromium: findChromium() };
  const missing = Object.entries(found).flatMap(([name, place]) => (place === undefined ? [name] : []));
  if (missing.length > 0)
    console.error(
      `Not on the PATH: ${missing.join(", ")}. Tests that need it will fail; on Debian: apt install ${missing.join(" ")}`,
    );
}
