import { connectToApiServer } from "../../../capabilities/kubernetes/api-server";
import { createInferenceServices } from "../../../capabilities/kserve/inference-services";
import { inferenceServiceName } from "../../../capabilities/kserve/names";
import { createMlflowTransport } from "../../../capabilities/mlflow/transport";
import { registerWebhook } from "../../../capabilities/mlflow/webhook-registration";
import { kubeConfigFrom } from "../../support/kube-config";
import { listManaged } from "../../support/managed-services";
import { openRegistry } from "../../support/mlflow-registry";
import { waitFor } from "../../support/waiting";
import { startMlflowWith } from "../../load/large-registry";
import { readMetrics } from "../../load/prometheus-text";
import { runLoad } from "../load";
import { SECRET, startModuleUnderTest } from "../module-under-test";
import { processorSeconds, processorSecondsOf } from "../processes";
import type { BurstResults } from "../results";
import { modelNames } from "../world";
import type { World } from "../world";

/** Processes of MLflow and delivery workers of each: ten in all, as one process of MLflow has by default. */
const [PROCESSES, WORKERS_OF_EACH] = [2, 5];

/** Tags that are being set at the same time. */
const CLIENTS = 16;

/** Milliseconds without a further delivery after which those that did not come are lost. */
const PATIENCE = 60_000;

/** Many tags set at once through MLflow itself, which delivers each; nothing polls. */
export async function measureBurst(world: World): Promise<BurstResults> {
  const { sizes, kubeconfig } = world;
  const models = modelNames("burst", sizes.burst);
  const mlflow = await startMlflowWith(
    { models, versions: 1, tagged: 0, tag: "deploy", runs: false },
    {
      ...{ python: world.python, logDirectory: world.logDirectory, workers: PROCESSES },
      environment: { MLFLOW_WEBHOOK_DELIVERY_MAX_WORKERS: String(WORKERS_OF_EACH) },
    },
  );
  const namespace = await world.createNamespace("burst");
  const module = await startModuleUnderTest({
    ...world,
    name: "burst",
    role: "endpoint",
    settings: { MLFLOW_TRACKING_URI: mlflow.trackingUri, KUBE_NAMESPACE: namespace },
  });
  const services = createInferenceServices(connectToApiServer(30_000, kubeConfigFrom(kubeconfig)), namespace);
  try {
    const transport = createMlflowTransport({
      trackingUri: mlflow.trackingUri,
      deadline: 30_000,
    });
    await registerWebhook(transport, {
      name: "bench",
      url: `${module.url}/webhook`,
      installation: "bench",
      secret: SECRET,
    });
    const times = (): BurstResults["processor"] => ({
      module: processorSeconds(module.pid),
      mlflow: processorSecondsOf(mlflow.part),
      apiServer: processorSecondsOf(world.apiServerPart),
    });
    const handled = async (): Promise<number> =>
      (await readMetrics(module.url)).value("webhook_processing_duration_seconds_count");
    const [registry, before, start] = [openRegistry(mlflow.trackingUri), times(), performance.now()];
    const set = await runLoad(models.length, CLIENTS, at =>
      registry.setTag({ model: models[at] ?? "", version: "1" }, "deploy", "true"),
    );
    await untilHandled(handled, models.length);
    const secondsToApply = (performance.now() - start) / 1000;
    const after = times();
    const deployed = new Set((await listManaged(services)).map(({ metadata }) => metadata.name));
    const lost = models.filter(model => !deployed.has(inferenceServiceName({ model, version: "1" }, namespace)));
    if (lost.length > 0) world.problem(`${lost.length} of ${models.length} tags of the burst were not deployed`);
    return {
      tags: models.length,
      setPerSecond: models.length / set.seconds,
      secondsToSet: set.seconds,
      secondsToApply,
      secondsBehind: secondsToApply - set.seconds,
      lost: lost.length,
      processor: {
        module: after.module - before.module,
        mlflow: after.mlflow - before.mlflow,
        apiServer: after.apiServer - before.apiServer,
      },
    };
  } finally {
    await module.stop();
    await mlflow.part.stop();
  }
}

/** Resolves when so many deliveries were handled, or none came for long. */
async function untilHandled(handled: () => Promise<number>, count: number): Promise<void> {
  let [last, since] = [-1, performance.now()];
  await waitFor(
    "the last delivery",
    async () => {
      const now = await handled();
      if (now !== last) [last, since] = [now, performance.now()];
      return now >= count || performance.now() - since > PATIENCE || undefined;
    },
    3_600_000,
  );
}
