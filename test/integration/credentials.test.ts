import { randomUUID } from "node:crypto";
import { expect, inject, it } from "vitest";
import { gatherVariables } from "../../capabilities/configuration/cluster-variables";
import { readMlflowAccess } from "../../capabilities/configuration/mlflow-access";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import { createRenewableAccess } from "../../capabilities/mlflow/access";
import { inParallel } from "../../capabilities/support/in-parallel";
import { kubeConfigFrom } from "../support/kube-config";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { startMlflowWithAccounts } from "../support/mlflow-accounts";
import { openRegistry } from "../support/mlflow-registry";
import { recordingLog } from "../support/unit/recording-log";
import { waitFor } from "../support/waiting";
import { cleanUp, keep, transportTo } from "../support/webhook-modes";
import { createNamespace, testKubectl } from "../testbed/namespaces";

const COUNT = 200;
/** Tags after which the password is changed in MLflow, and those after which the Secret has the new one. */
const [CHANGED, REPLACED] = [60, 90];
const NEW_PASSWORD = "another password of the reader";

it(`loses none of ${COUNT} deliveries while the password in its Secret is replaced, without a restart or a poll`, async () => {
  const mlflow = await startMlflowWithAccounts({
    python: inject("python"),
    logDirectory: inject("logDirectory"),
    // Each process would go on taking a password that it has checked.
    workers: 1,
  });
  cleanUp.push(mlflow.stop);
  const namespace = await createNamespace("credentials");
  const setPassword = (password: string): Promise<string> =>
    testKubectl()(
      ["apply", "-n", namespace, "-f", "-"],
      JSON.stringify({
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "mlflow-credentials" },
        stringData: { MLFLOW_TRACKING_USERNAME: mlflow.reader.name, MLFLOW_TRACKING_PASSWORD: password },
      }),
    );
  await setPassword(mlflow.reader.password);
  const { log } = recordingLog();
  const apiServer = connectToApiServer(15_000, kubeConfigFrom(inject("kubeconfig")));
  const { variables, readAgain } = await gatherVariables({}, apiServer, namespace, log);
  const renewableAccess = createRenewableAccess({
    first: readMlflowAccess(variables),
    load: async () => readMlflowAccess(await readAgain()),
    // What is refused finds the new one; this would be too late.
    interval: 3_600_000,
    log,
  });
  const tag = `deploy-${randomUUID().slice(0, 8)}`;
  const { url, deployed, logged } = await startListener({
    mlflowTrackingUri: mlflow.trackingUri,
    namespace,
    renewableAccess,
    settings: { DEPLOY_TAG_KEY: tag },
  });
  const administrator = openRegistry(mlflow.administratorUri);
  const model = uniqueModel("secured");
  // The first makes the model.
  const versions = [await administrator.register(model)];
  const others = Array.from({ length: COUNT - 1 });
  versions.push(...(await inParallel(others, 4, () => administrator.register(model))));
  await mlflow.grantReading("registered_model", model);
  await keep({
    transport: transportTo(mlflow.administratorUri),
    name: tag,
    url: `${url}/webhook`,
    startupTimeout: 60,
  }).reaches("webhook");
  // MLflow's process reads its list of webhooks anew once a second here.
  await new Promise(resolve => setTimeout(resolve, 1_500));

  for (const [at, key] of versions.entries()) {
    if (at === CHANGED) await mlflow.setReaderPassword(NEW_PASSWORD);
    if (at === REPLACED) await setPassword(NEW_PASSWORD);
    await administrator.setTag(key, tag, "true");
  }

  await waitFor("all services", async () => ((await deployed()).length === COUNT ? true : undefined), 240_000);
  // MLflow had to try some of them again, or the test would show nothing.
  expect(logged.filter(({ message }) => message === "Delivery failed").length).toBeGreaterThan(0);
  expect(JSON.stringify(logged)).not.toContain(NEW_PASSWORD);
}, 600_000);
