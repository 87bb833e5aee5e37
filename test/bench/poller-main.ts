// What the watcher polls with, in a process of its own whose memory and processor time are only that. Polls when it is
// asked to, by a message, and answers with what it cost.
import { kubeConfigFrom } from "../support/kube-config";
import { countingLog, createPoller } from "../load/in-process-listener";
import { measurePoll } from "../load/poll-cost";
import { countRequests } from "../load/request-count";
import type { PollerOptions, PollerAnswer } from "./poller";

const BYTES_IN_MEBIBYTE = 1024 * 1024;

const options = JSON.parse(process.argv[2] ?? "{}") as PollerOptions;
const log = countingLog();
const listener = createPoller({ ...options, log });
const requests = countRequests();
const systems = {
  mlflow: options.mlflowTrackingUri,
  apiServer: kubeConfigFrom(options.kubeconfig).getCurrentCluster()?.server ?? "",
};

async function poll(): Promise<PollerAnswer> {
  try {
    const cost = await measurePoll(listener, requests, systems);
    return { cost, memory: process.memoryUsage.rss() / BYTES_IN_MEBIBYTE, firstError: log.firstError() };
  } catch (error) {
    return { failure: `${String(error)}: ${log.firstError() ?? "no cause in the log"}` };
  }
}

process.on("message", () => void poll().then(answer => process.send?.(answer)));
process.on("disconnect", () => process.exit());
