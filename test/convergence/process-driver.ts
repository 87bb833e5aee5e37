import { setTimeout as sleep } from "node:timers/promises";
import { endAsKubelet } from "../support/kubelet";
import type { Replica } from "../support/replica";
import type { Part, PartName } from "../testbed";
import type { Faults } from "./faults";
import type { FaultOperation } from "./operations";

/** Does to processes what nodes, kubelets and operators do to them. */
export interface ProcessDriver {
  /** @returns false when the process was down already, or is none of ours */
  execute: (operation: ProcessOperation) => Promise<boolean>;
  /** What the kubelet does when the liveness probe of a replica fails. */
  restart: (replica: Replica) => Promise<boolean>;
  /** Ends all replicas and starts them again, one after the other, as a Deployment's update does. */
  restartAll: () => Promise<void>;
  /** Starts and resumes whatever is down or frozen. */
  restoreAll: () => Promise<void>;
  /** How often a replica ended while it started, as a pod that is then started again. */
  readonly failedStarts: number;
}

export type ProcessOperation = Extract<
  FaultOperation,
  { kind: "kill replica" | "terminate replica" | "pause part" | "restart part" }
>;

/** Starts of one replica that may fail one after the other, while faults meet them. */
const MOST_STARTS = 20;

export function createProcessDriver(
  replicas: readonly Replica[],
  parts: Readonly<Partial<Record<PartName, Part>>>,
  faults: Faults,
): ProcessDriver {
  const busy = new Map<Replica | Part, Promise<void>>();
  let failedStarts = 0;

  const start = async (replica: Replica): Promise<void> => {
    for (let left = MOST_STARTS; ; left--) {
      try {
        await replica.start();
        return;
      } catch (error) {
        failedStarts++;
        if (left === 0) throw error;
        await sleep(100);
      }
    }
  };

  /** One thing at a time is done to a process. */
  const alone = async (what: Replica | Part, work: () => Promise<void>): Promise<boolean> => {
    if (busy.has(what)) return false;
    const done = work().finally(() => {
      busy.delete(what);
    });
    busy.set(what, done);
    await done;
    return true;
  };

  /** The same as soon as nothing else is done to it. */
  const onceFree = async (what: Replica | Part, work: () => Promise<void>): Promise<void> => {
    while (!(await alone(what, work))) await busy.get(what)?.catch(() => undefined);
  };

  const onReplica = async (
    index: number,
    downFor: number,
    end: (replica: Replica) => Promise<unknown>,
  ): Promise<boolean> => {
    const replica = replicas[index % replicas.length];
    if (replica?.pid === undefined) return false;
    return await alone(replica, async () => {
      await end(replica);
      await sleep(downFor);
      await start(replica);
    });
  };

  return {
    get failedStarts() {
      return failedStarts;
    },

    async execute(operation) {
      switch (operation.kind) {
        case "kill replica":
          faults.count("replica killed");
          return await onReplica(operation.replica, operation.downFor, replica => replica.kill());
        case "terminate replica":
          faults.count("replica terminated");
          return await onReplica(operation.replica, operation.downFor, replica => replica.terminate());
        case "pause part": {
          const part = parts[operation.part];
          if (part === undefined) return false;
          faults.count(`${operation.part} paused`);
          return await alone(part, async () => {
            part.pause();
            await sleep(operation.milliseconds);
            part.resume();
          });
        }
        case "restart part": {
          const part = parts[operation.part];
          if (part === undefined) return false;
          faults.count(`${operation.part} killed and restarted`);
          return await alone(part, async () => {
            part.kill();
            await sleep(operation.downFor);
            await part.start();
          });
        }
      }
    },

    restart: replica =>
      alone(replica, async () => {
        faults.count("replica restarted by its liveness probe");
        await endAsKubelet(replica);
        await start(replica);
      }),

    async restartAll() {
      for (const replica of replicas) {
        await onceFree(replica, async () => {
          await endAsKubelet(replica);
          await start(replica);
        });
      }
    },

    async restoreAll() {
      // What is busy starts by itself: each operation ends with that.
      await Promise.all(replicas.filter(({ pid }) => pid === undefined).map(start));
    },
  };
}
