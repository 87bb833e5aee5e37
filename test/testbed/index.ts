import { createCertificates } from "./certificates";
import { controlPlaneIsBuilt, kubernetesPrograms, startApiServer } from "./control-plane";
import { startKserve } from "./kserve";
import { kserveDirectory, kserveIsBuilt } from "./kserve-manifests";
import { kubectlFor } from "./kubectl";
import { kwokDirectory, kwokIsBuilt, startKwok } from "./kwok";
import { startMlflowServer, stopExtraMlflowServers } from "./mlflow";
import {
  BUCKET,
  objectStorageDirectory,
  objectStorageIsBuilt,
  startObjectStorage,
  storageEnvironment,
  type ObjectStorage,
} from "./object-storage";
import type { TestbedOptions } from "./options";
import { checkNothingIsInstalled, checkOwnCluster, checkOwnMlflow } from "./own-systems";
import { predictionObjects } from "./predictions";
import { podLogsOf, startPredictorNode, storageInitializer, storageInitializerIsThere } from "./predictor-node";
import { fetchSources } from "./go-binaries";
import { checkPrerequisites, kubebuilderAsset, type PythonFound } from "./prerequisites";
import type { Part, PartName } from "./processes";
import { pythonEnvironment, type PythonEnvironment } from "./python";
import { Run } from "./run";

export { startMlflow, type MlflowOptions, type MlflowServer } from "./mlflow";
export { testbedOptionsFrom, testbedOptionsFromFlags, type TestbedOptions } from "./options";
export type { Part, PartName } from "./processes";

/** Real systems to try the module with: a Kubernetes API with KServe, and MLflow. */
export interface Testbed {
  /** Absolute path of an administrator's kubeconfig; the server's certificate is always checked. */
  readonly kubeconfig: string;
  /** Base URL of the MLflow server, for example http://127.0.0.1:43117. */
  readonly mlflowTrackingUri: string;
  /** A Python interpreter that has MLflow's client and scikit-learn. */
  readonly python: string;
  /** Path of kubectl: ours, or the one on the PATH when the user brought a cluster. */
  readonly kubectl: string;
  /** The folder with one log file per part, and in pods/ one for each container that ran for real. */
  readonly logDirectory: string;
  /** The parts that we started, by name, for tests that produce faults. */
  readonly parts: Readonly<Partial<Record<PartName, Part>>>;
  /** Ends all parts, and the MLflow servers that startMlflow added, and removes their data. The logs stay. */
  stop: () => Promise<void>;
}

/**
 * Looks for what this start needs and cannot build.
 * @returns the Python to use, and whether Go has something to build
 * @throws when something is missing on this machine: a sentence for each, with the cure
 */
export async function checkMachine(
  options: Pick<TestbedOptions, "kubeconfig">,
): Promise<{ readonly go: boolean; readonly python: PythonFound }> {
  const go = options.kubeconfig === undefined && !isAllBuilt();
  const kubectl = options.kubeconfig !== undefined && !kubebuilderAsset("kubectl");
  return { go, ...(await checkPrerequisites({ go, kubectl })) };
}

/**
 * Builds what is not built yet (about ten minutes on two cores, the first time) and starts it (seconds).
 *
 * Everything ends with stop(), or with this process, however that ends.
 * @throws when something is missing on this machine, or a part does not start: the message says which, how its log
 *   ends and where the logs are
 */
export async function startTestbed(options: TestbedOptions = {}): Promise<Testbed> {
  const { go, python } = await checkMachine(options);
  if (go) void fetchSources(["versitygw", "kubernetes", "kserve", "kwok"]);
  const run = new Run(options.progress ?? (() => undefined));
  const stop = async (): Promise<void> => {
    await Promise.all([run.stop(), stopExtraMlflowServers()]);
  };
  try {
    if (options.mlflowTrackingUri !== undefined) {
      await checkOwnMlflow(options.mlflowTrackingUri);
      run.progress(`MLflow answers at ${options.mlflowTrackingUri}`);
    }
    const environment = pythonEnvironment(python, run.progress);
    environment.catch(() => undefined); // whoever needs it finds out
    // Where the artifacts of an MLflow of the user's are is not for us to know, nor what a cluster of theirs can reach.
    const bothOurs = options.kubeconfig === undefined && options.mlflowTrackingUri === undefined;
    const storage = bothOurs ? await startObjectStorage(run, await objectStorageDirectory(run.progress)) : undefined;
    // MLflow beside the cluster: the one mostly waits for the disk and the network while the other computes.
    const [cluster, mlflow] = await Promise.all([
      provideCluster(run, options, environment, storage),
      provideMlflow(run, options, environment, storage),
    ]);
    return { ...cluster, ...mlflow, logDirectory: run.logDirectory, parts: run.parts, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Cluster = Pick<Testbed, "kubeconfig" | "kubectl">;
type Mlflow = Pick<Testbed, "mlflowTrackingUri" | "python">;

function isAllBuilt(): boolean {
  return (
    controlPlaneIsBuilt() && kserveIsBuilt() && kwokIsBuilt() && objectStorageIsBuilt() && storageInitializerIsThere()
  );
}

async function provideCluster(
  run: Run,
  options: TestbedOptions,
  environment: Promise<PythonEnvironment>,
  storage: ObjectStorage | undefined,
): Promise<Cluster> {
  if (options.kubeconfig !== undefined) {
    const cluster = { kubeconfig: options.kubeconfig, kubectl: kubebuilderAsset("kubectl") ?? "kubectl" };
    const kubectlThere = kubectlFor(cluster.kubectl, cluster.kubeconfig, run.directory);
    await checkOwnCluster(cluster.kubeconfig, kubectlThere);
    if (!options.mayBeInUse) await checkNothingIsInstalled(cluster.kubeconfig, kubectlThere);
    run.progress(`the cluster of ${cluster.kubeconfig} has KServe`);
    return cluster;
  }
  // The others need kubectl for their manifests.
  const programs = await kubernetesPrograms(run.progress);
  const { kserve: module = "kserve" } = options;
  const kserve = { module, directory: await kserveDirectory(module, programs("kubectl"), run.progress) };
  const kwok = await kwokDirectory(programs("kubectl"), run.progress);
  const initializer = await storageInitializer(run.progress);
  const certificates = await createCertificates();
  const controlPlane = await startApiServer(run, programs, certificates);
  await Promise.all([
    startKserve(run, kserve, controlPlane, certificates),
    controlPlane.startControllers(),
    startKwok(run, kwok, controlPlane),
    environment.then(async ({ python }) => {
      const ingress = await startPredictorNode(run, controlPlane, python, initializer);
      if (!storage) return;
      for (const object of predictionObjects({ ingress, storage, podLogs: podLogsOf(run) }))
        await controlPlane.api.create(object);
    }),
  ]);
  return { kubeconfig: controlPlane.kubeconfig, kubectl: controlPlane.kubectl };
}

async function provideMlflow(
  run: Run,
  options: TestbedOptions,
  preparing: Promise<PythonEnvironment>,
  storage: ObjectStorage | undefined,
): Promise<Mlflow> {
  const { python } = await preparing;
  if (options.mlflowTrackingUri !== undefined) return { python, mlflowTrackingUri: options.mlflowTrackingUri };
  const { trackingUri } = await startMlflowServer(run, python, {
    environment: { ...(storage && storageEnvironment(storage)), ...options.mlflowEnvironment },
    ...(storage && { artifactsDestination: `s3://${BUCKET}` }),
  });
  return { python, mlflowTrackingUri: trackingUri };
}
