import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";
import type { Resynced } from "./resync";

export interface CatchUpOptions {
  readonly resync: () => Promise<Resynced>;
  readonly log: Log;
}

/**
 * One comparison of MLflow with the cluster, by a process that need not be the one that polls: makes up for deliveries
 * that are known to have been lost.
 *
 * @returns what compares; resolves to false when that failed, which is logged, and never rejects
 */
export function createCatchUp({ resync, log }: CatchUpOptions): () => Promise<boolean> {
  return async () => {
    try {
      const { report } = await resync();
      log.info({ ...report }, "Looked for what MLflow did not deliver");
      return true;
    } catch (error) {
      log.warn({ cause: messageOf(error) }, "Could not look for what MLflow did not deliver, trying again");
      return false;
    }
  };
}
