import { setTimeout as sleep } from "node:timers/promises";
import { expect, inject, it } from "vitest";
import { endpointName } from "../../capabilities/kserve/names";
import { hireDataScientist } from "../support/data-scientist";
import { followAddresses } from "../support/endpoint-addresses";
import type { EndpointAddresses } from "../support/endpoint-addresses";
import { uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { startModule } from "../support/module-process";
import { waitFor } from "../support/waiting";
import { infer, inferenceRequest } from "../testbed/inference";
import { createNamespace, testKubectl } from "../testbed/namespaces";
import { loopbackAddress } from "../testbed/node/addresses";
import { freePort } from "../testbed/ports";
import { findPredictions, runPredictorsIn } from "../testbed/predictions";

/** Milliseconds for a download and the start of a model server, on a machine that is busy with other tests. */
const LOAD_TIMEOUT = 240_000;

/** Milliseconds from one request to the next: 50 a second. */
const PACE = 20;

const SWITCHES = 10;

/** Requests at a steady pace, and what came of them. */
interface Traffic {
  readonly answered: () => number;
  /** The version that answered last. */
  readonly version: () => string | undefined;
  readonly failures: readonly string[];
  /** Ends it, and waits for what is under way. */
  readonly stop: () => Promise<void>;
}

/**
 * Sends requests to a Service: each goes to an address of its EndpointSlices as they are at that moment, as kube-proxy would
 * send it.
 */
function startTraffic(service: string, model: string, addresses: EndpointAddresses): Traffic {
  const failures: string[] = [];
  const underWay = new Set<Promise<void>>();
  let [sent, answered] = [0, 0];
  let version: string | undefined;
  const send = async (number: number): Promise<void> => {
    const all = addresses.of(service);
    const address = all[number % Math.max(1, all.length)];
    try {
      if (address === undefined) throw new Error("the Service has no address");
      const to = { ingress: `http://${loopbackAddress(address)}`, host: service, service, model };
      const { status, text } = await infer(to, inferenceRequest([[5.1, 3.5, 1.4, 0.2]]));
      if (status !== 200) throw new Error(`${address} answered ${status}: ${text.slice(0, 200)}`);
      ({ model_version: version } = JSON.parse(text) as { model_version?: string });
      answered++;
    } catch (error) {
      failures.push(String(error));
    }
  };
  const timer = setInterval(() => {
    const request = send(sent++).finally(() => underWay.delete(request));
    underWay.add(request);
  }, PACE);
  return {
    answered: () => answered,
    version: () => version,
    failures,
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
    },
  };
}

it(
  "ten switches of the champion fail no request, with real model servers behind the endpoint",
  async ({ onTestFinished }) => {
    const kubectl = testKubectl();
    const predictions = await findPredictions(kubectl);
    if (!predictions) throw new Error("This cluster and its MLflow are not the testbed's: nothing runs the models.");
    const tag = uniqueModel("deploy");
    const [namespace, port] = await Promise.all([createNamespace("switch"), freePort()]);
    await runPredictorsIn(namespace, predictions, kubectl);
    const [module, scientist] = await Promise.all([
      startModule({
        ...{ kubectl, kubeconfig: inject("kubeconfig"), logDirectory: inject("logDirectory") },
        ...{ port, namespace, name: tag, admission: false },
        settings: {
          MLFLOW_TRACKING_URI: inject("mlflowTrackingUri"),
          STORAGE_URI_BASE: "s3://mlflow",
          DEPLOY_TAG_KEY: tag,
          // The end of a former champion is another matter; here all go back and forth.
          FORMER_CHAMPION_MINUTES: "60",
          POLLING_INTERVAL: "3600",
          MLFLOW_WEBHOOK_SECRET: "only this test knows it",
          MLFLOW_WEBHOOK_URL: `http://127.0.0.1:${port}/webhook`,
          MLFLOW_WEBHOOK_CACHE_TTL: "1",
          MLFLOW_WEBHOOK_NAME: tag,
        },
      }),
      hireDataScientist(inject("python"), inject("mlflowTrackingUri")),
    ]);
    onTestFinished(async () => {
      scientist.stop();
      await module.stop();
    });
    await module.waitForLine("registration", ({ msg }) => msg === "Webhook registered and proven", 60_000);
    const model = uniqueModel("switched");
    const versions = [(await scientist.train(model)).version, (await scientist.train(model)).version];
    const registry = openRegistry(inject("mlflowTrackingUri"));
    await registry.setModelTag(model, tag, "true");
    const addresses = await followAddresses(namespace);
    const endpoint = endpointName(model);

    const moveTo = (version: string): Promise<void> => registry.setAlias({ model, version }, "champion");
    const [first = ""] = versions;
    await moveTo(first);
    await addresses.untilSame(endpoint, `mlflow-${model}-v${first}-predictor`, LOAD_TIMEOUT);
    const traffic = startTraffic(endpoint, model, addresses);
    onTestFinished(traffic.stop);

    for (let switched = 1; switched <= SWITCHES; switched++) {
      const version = versions[switched % 2] ?? "";
      await moveTo(version);
      await waitFor(
        `an answer of version ${version}: ${traffic.failures.join("; ")}`,
        () => traffic.version() === version || undefined,
        LOAD_TIMEOUT,
      );
      const before = traffic.answered();
      // Some more than may have been under way.
      await waitFor("further answers", () => traffic.answered() >= before + 50 || undefined);
      await sleep(PACE);
      expect(traffic.version()).toBe(version);
    }
    await traffic.stop();
    console.log(`${traffic.answered() + traffic.failures.length} requests, ${traffic.failures.length} failed`);
    expect(traffic.failures).toEqual([]);
    expect(addresses.gapsOf(endpoint)).toBe(0);
  },
  3 * LOAD_TIMEOUT,
);
