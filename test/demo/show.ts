import { say } from "../support/command-output";
import { inferenceRequest } from "../testbed/inference";
import type { ModelAddress } from "../testbed/inference";
import { curlCommand } from "./printing";
import { setTheStage } from "./stage";
import type { Closing, Stage } from "./stage";
import { askBoth, deploy, FLOWERS, takeDown } from "./story";

/**
 * The whole demonstration.
 *
 * @param argv the flags that say which systems are used
 * @param options.once ends it by itself, after the second version was taken down as well
 * @param options.asked resolves when the user wants it to end, with what is to be said then
 * @param closing gets what is to be ended at the end
 */
export async function show(
  argv: readonly string[],
  options: { readonly once: boolean; readonly asked: Promise<string> },
  closing: Closing,
): Promise<void> {
  const started = Date.now();
  const stage = await setTheStage(argv, closing);
  const address = await play(stage);
  const [, second] = stage.versions;
  if (options.once) {
    await takeDown(stage, second);
    say(`\nDone in ${Math.round((Date.now() - started) / 1000)} s: the tags made the InferenceServices, and`);
    say("taking them away took them down.");
    return;
  }
  tellHowToGoOn(stage, second, address);
  say(await options.asked);
}

/** One version goes into service, then another beside it, then the first goes. Returns where the second can be asked. */
async function play(stage: Stage): Promise<ModelAddress | undefined> {
  const [first, second] = stage.versions;
  const one = await deploy(stage, first);
  const other = await deploy(stage, second);
  if (one && other) await askBoth([one, other]);
  await takeDown(stage, first);
  return other;
}

function tellHowToGoOn(
  { testbed, module, endpoint, names }: Stage,
  version: string,
  address: ModelAddress | undefined,
): void {
  say(`
It stays up until Ctrl-C. To look around, in another terminal:
  MLflow's UI         ${testbed.mlflowTrackingUri}/#/models/${names.model}/versions/${version} (set or remove the tag ${names.tag} there)
  the cluster         export KUBECONFIG=${testbed.kubeconfig}
                      ${testbed.kubectl} -n ${names.namespace} get inferenceservices,pods
  the status page     ${module.watcherUrl}/
  the module          curl ${endpoint}/health; curl ${endpoint}/services
  logs of all parts   ${testbed.logDirectory}
                      (in pods/ those of the models' servers and downloads)`);
  if (address) say(`  a prediction\n    ${curlCommand(address, inferenceRequest(FLOWERS))}`);
}
