import { openRegistry } from "../support/mlflow-registry";
import { startTamperingProxy } from "../support/tampering-proxy";
import type { Tampering } from "../support/tampering-proxy";
import { waitFor } from "../support/waiting";
import { liveMemory } from "./collect-garbage";
import { countingLog, createPoller } from "./in-process-listener";
import { openDescriptors } from "./process-sample";

export interface PollRunOptions {
  readonly kubeconfig: string;
  readonly mlflowTrackingUri: string;
  readonly namespace: string;
  /** A tag that nothing else in this MLflow has. */
  readonly deployTagKey: string;
  readonly polls: number;
}

/** What many polls left behind. */
export interface PollRun {
  readonly succeeded: number;
  readonly failed: number;
  /** MiB of live objects in this process, after each tenth of the polls. */
  readonly memory: readonly number[];
  /** Descriptors of this process before the first tenth and after the last. */
  readonly descriptors: readonly [before: number, after: number];
  /** Polls that were logged as failed: each that failed, once. */
  readonly failuresLogged: number;
  readonly seconds: number;
}

/** Versions that are served all the time. */
const VERSIONS = 5;

/** Every so many polls one fails. */
const FAILS_EACH = 4;

/** Faults that a real MLflow cannot be made to produce at a certain moment. */
const FAULTS: readonly Tampering[] = [
  (_path, answer) => {
    answer.status = 500;
  },
  (_path, answer) => {
    answer.cut = true;
  },
  (_path, answer) => {
    answer.body = answer.body.slice(0, answer.body.length / 2);
  },
  (_path, answer) => {
    Object.assign(answer, { contentType: "text/html", body: "<html>Please log in</html>" });
  },
  () => {
    throw new Error("the connection is cut before the answer");
  },
];

/** Polls again and again, every fourth time through a fault, and looks at this process' memory and descriptors. */
export async function runPolls(options: PollRunOptions): Promise<PollRun> {
  const { mlflowTrackingUri, deployTagKey, polls } = options;
  const registry = openRegistry(mlflowTrackingUri);
  for (let count = 0; count < VERSIONS; count++) {
    await registry.register(`${deployTagKey}-model`, "s3://models/x", { [deployTagKey]: "true" });
  }
  const proxy = await startTamperingProxy(mlflowTrackingUri);
  const log = countingLog();
  const listener = createPoller({ ...options, mlflowTrackingUri: proxy.url, log });
  let [succeeded, failed] = [0, 0];
  const pollMany = async (count: number): Promise<void> => {
    for (let poll = 1; poll <= count; poll++) {
      const fault = poll % FAILS_EACH === 0 ? FAULTS[(poll / FAILS_EACH) % FAULTS.length] : undefined;
      proxy.tamper = fault ?? ((): void => undefined);
      if ((await listener.poll()) === undefined) failed++;
      else succeeded++;
    }
  };
  try {
    const began = performance.now();
    // The warm-up: the services are made, and connections are opened that stay.
    await pollMany(Math.ceil(polls / 10));
    await listener.idle();
    const before = openDescriptors(process.pid);
    const memory = [await liveMemory()];
    for (let tenth = 1; tenth < 10; tenth++) {
      await pollMany(Math.ceil(polls / 10));
      memory.push(await liveMemory());
    }
    const seconds = (performance.now() - began) / 1000;
    // A connection whose answer was cut is closed a moment later.
    const isClosed = (): true | undefined => openDescriptors(process.pid) <= before || undefined;
    await waitFor("closed connections", isClosed, 10_000).catch(() => undefined);
    const descriptors = [before, openDescriptors(process.pid)] as const;
    const failuresLogged = log.lines.get("Poll failed, nothing was changed") ?? 0;
    return { succeeded, failed, memory, descriptors, failuresLogged, seconds };
  } finally {
    await listener.stop();
    proxy.close();
  }
}
