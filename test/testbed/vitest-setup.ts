import type { TestProject } from "vitest/node";
import { startTestbed, testbedOptionsFrom } from "./index";
import { chromiumBrowser } from "./chromium";
import { checkPrerequisites, NEEDS_OF_TESTS } from "./prerequisites";
import { prometheusPrograms } from "./prometheus";

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
  await checkPrerequisites(NEEDS_OF_TESTS);
  const progress = (message: string): void => {
    console.error(message);
  };
  const [testbed] = await Promise.all([
    startTestbed({ ...testbedOptionsFrom([], process.env), progress }),
    // Not while the tests run: what is built then slows them down.
    prometheusPrograms(progress),
    chromiumBrowser(progress),
  ]);
  project.provide("kubeconfig", testbed.kubeconfig);
  project.provide("mlflowTrackingUri", testbed.mlflowTrackingUri);
  project.provide("python", testbed.python);
  project.provide("kubectl", testbed.kubectl);
  project.provide("logDirectory", testbed.logDirectory);
  console.error(`The testbed is ready. Its logs: ${testbed.logDirectory}`);
  return () => testbed.stop();
}
