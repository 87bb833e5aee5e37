import { fork } from "node:child_process";
import { once } from "node:events";
import type { PollCost } from "../load/poll-cost";
import { bundleForNode } from "../support/replica-bundle";
import { cleanEnvironment } from "../testbed/processes";
import { forgetGroup, watchGroup } from "../testbed/watchdog";

/** What a poller is started with. */
export interface PollerOptions {
  readonly kubeconfig: string;
  readonly mlflowTrackingUri: string;
  readonly namespace: string;
  readonly deployTagKey: string;
}

/** What the poller's process answers to each message. */
export type PollerAnswer =
  | { readonly cost: PollCost; readonly memory: number; readonly firstError?: string | undefined }
  | { readonly failure: string };

/** A poll's cost, and the resident memory of the polling process afterwards in MiB. */
export type MeasuredPoll = PollCost & { readonly memory: number };

/** The polling part of the module in a process of its own. */
export interface Poller {
  /** @throws Error when the poll, or the reconcile of one version, failed */
  readonly poll: () => Promise<MeasuredPoll>;
  readonly stop: () => Promise<void>;
}

let bundle: Promise<string> | undefined;

export async function startPoller(options: PollerOptions): Promise<Poller> {
  bundle ??= bundleForNode("test/bench/poller-main.ts");
  const child = fork(await bundle, [JSON.stringify(options)], {
    detached: true,
    env: cleanEnvironment(),
    execArgv: [],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error("The poller could not be started");
  watchGroup(pid);
  const ended = once(child, "exit").then(() => {
    forgetGroup(pid);
  });
  return {
    async poll() {
      const answered = once(child, "message");
      child.send("poll");
      const [answer] = (await Promise.race([answered, ended.then(() => [{ failure: "the poller ended" }])])) as [
        PollerAnswer,
      ];
      if ("failure" in answer) throw new Error(`A poll failed: ${answer.failure}`);
      const { cost, memory, firstError } = answer;
      if (cost.report.failed > 0)
        throw new Error(`${cost.report.failed} versions failed, the first because: ${firstError ?? "unknown"}`);
      return { ...cost, memory };
    },
    async stop() {
      child.disconnect();
      await ended;
    },
  };
}
