import { version } from "../../package.json";
import { recentAnswer } from "../support/recent-answer";

/** Whether the systems that the module works between can be reached. */
export interface Health {
  readonly mlflowConnected: boolean;
  readonly kubernetesConnected: boolean;
}

/**
 * What does the work: deliveries, the poll alone because that was asked for, or the poll because deliveries fail, or
 * because MLflow's processes are still taking up the webhook.
 */
export type Mode = "webhook" | "polling" | "fallback" | "propagating" | "starting";

/** How the module works at the moment. */
export interface ModuleStatus {
  readonly mode: Mode;
  /** Why it is that mode, where a person might want another. */
  readonly cause?: string | undefined;
  readonly lastSuccessfulPoll?: Date | undefined;
}

/** The module's version, as package.json has it. */
export const VERSION: string = version;

/** Milliseconds that an answer is kept, so that asking often costs MLflow and the API server nothing. */
const LIFETIME = 2_000;

/**
 * A function that asks both systems, once for all who ask within a short time.
 *
 * @param pingMlflow rejects when MLflow cannot be reached
 * @param pingKubernetes rejects when the API server cannot be reached or refuses
 */
export function createHealthCheck(
  pingMlflow: () => Promise<void>,
  pingKubernetes: () => Promise<void>,
): () => Promise<Health> {
  const answers = (ping: () => Promise<void>): Promise<boolean> =>
    ping().then(
      () => true,
      () => false,
    );
  const ask = async (): Promise<Health> => {
    const [mlflowConnected, kubernetesConnected] = await Promise.all([answers(pingMlflow), answers(pingKubernetes)]);
    return { mlflowConnected, kubernetesConnected };
  };
  return recentAnswer(LIFETIME, ask);
}
