import { tmpdir } from "node:os";
import { installPeprStore } from "../support/pepr-store";
import { startMlflow, startTestbed, testbedOptionsFrom } from "../testbed";
import type { Testbed } from "../testbed";
import { kubectlFor } from "../testbed/kubectl";
import type { Kubectl } from "../testbed/kubectl";

/** The real systems that seeds are played on, one after the other. */
export interface Lane {
  readonly kubeconfig: string;
  readonly kubectl: Kubectl;
  readonly trackingUri: string;
  /** Another MLflow, in which there are no models. */
  readonly emptyTrackingUri: string;
  /** Parts that may be paused and restarted; a test that shares its cluster with others has no right to all. */
  readonly parts: Testbed["parts"];
  readonly logDirectory: string;
  readonly stop: () => Promise<void>;
}

/**
 * Processes of the MLflow server: more than one, since a request must not find there what only another knows, and fewer
 * than MLflow's four, which take long to start and leave little for the rest.
 */
const MLFLOW_WORKERS = 2;

/** Starts systems of our own; KUBECONFIG and MLFLOW_TRACKING_URI name some to use instead, whose parts stay untouched. */
export async function startLane(progress: (message: string) => void): Promise<Lane> {
  const options = testbedOptionsFrom([], process.env);
  const mlflow =
    options.mlflowTrackingUri === undefined ? await startMlflow({ workers: MLFLOW_WORKERS, progress }) : undefined;
  const empty = await startMlflow({ workers: 1, progress });
  const testbed = await startTestbed({
    ...options,
    ...(mlflow === undefined ? {} : { mlflowTrackingUri: mlflow.trackingUri }),
    progress,
  });
  progress(`The testbed is ready. Its logs: ${testbed.logDirectory}`);
  const stop = async (): Promise<void> => {
    await Promise.all([mlflow?.part.stop(), empty.part.stop(), testbed.stop()]);
  };
  const parts = mlflow === undefined ? testbed.parts : { ...testbed.parts, mlflow: mlflow.part };
  return await openLane({ ...testbed, emptyTrackingUri: empty.trackingUri, parts, stop });
}

/** Prepares systems that run, once. */
export async function openLane(
  systems: Pick<Testbed, "kubeconfig" | "kubectl" | "mlflowTrackingUri" | "parts" | "logDirectory" | "stop"> &
    Pick<Lane, "emptyTrackingUri">,
): Promise<Lane> {
  const kubectl = kubectlFor(systems.kubectl, systems.kubeconfig, tmpdir());
  await installPeprStore(kubectl, systems.kubeconfig);
  const { kubeconfig, parts, logDirectory, mlflowTrackingUri: trackingUri, emptyTrackingUri, stop } = systems;
  return { kubeconfig, kubectl, trackingUri, emptyTrackingUri, parts, logDirectory, stop };
}
