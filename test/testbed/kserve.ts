import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Certificate, Certificates } from "./certificates";
import type { ClusterApi, KubernetesObject } from "./cluster-api";
import type { ControlPlane } from "./control-plane";
import { byUrl, forBareCluster, readManifests } from "./kserve-manifests";
import type { KserveModule } from "./go-binaries";
import { freePort } from "./ports";
import { answersOk, sleep } from "./probe";
import type { Run } from "./run";

const NAMESPACE = "kserve";
const GROUP = "serving.kserve.io";
const SERVED_WITHIN_SECONDS = 60;

/** Installs KServe into the cluster and starts its controller; returns when its admission webhooks are in force. */
export async function startKserve(
  run: Run,
  { directory, module }: { readonly directory: string; readonly module: KserveModule },
  { api, kubeconfig }: Pick<ControlPlane, "api" | "kubeconfig">,
  certificates: Certificates,
): Promise<void> {
  const createAll = async (objects: readonly KubernetesObject[]): Promise<void> => {
    await Promise.all(objects.map(object => api.create(object)));
  };
  const crds = readManifests(directory, "crds");
  await api.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
  const mode = module === "kserve-0.15" ? "RawDeployment" : "Standard";
  const configuration = readManifests(directory, "configuration").map(object => forBareCluster(object, mode));
  await createAll([...crds, ...configuration]);
  await untilServed(
    api,
    crds.map(crd => crd.metadata.name.replace(`.${GROUP}`, "")),
  );
  run.progress("KServe's CRDs are served");
  const [webhookUrl] = await Promise.all([
    startManager(run, directory, kubeconfig, certificates.server),
    createAll([...readManifests(directory, "runtimes"), ...readManifests(directory, "storage-containers")]),
  ]);
  const webhooks = readManifests(directory, "webhooks");
  await createAll(webhooks.map(webhook => byUrl(webhook, webhookUrl, certificates.authority.certificate)));
  run.progress("KServe's admission webhooks are registered");
}

// A CRD is established a moment before the API's discovery lists it, and KServe's manager reads that once, at its start.
async function untilServed(api: ClusterApi, resources: readonly string[]): Promise<void> {
  const deadline = Date.now() + SERVED_WITHIN_SECONDS * 1000;
  for (;;) {
    const served = await api.servedResources(GROUP);
    const missing = resources.filter(resource => !served.includes(resource));
    if (missing.length === 0) return;
    if (Date.now() > deadline) throw new Error(`The API does not serve KServe's ${missing.join(", ")} after a minute.`);
    await sleep(100);
  }
}

// Returns the base URL of its admission webhooks.
async function startManager(run: Run, directory: string, kubeconfig: string, server: Certificate): Promise<string> {
  const temporary = join(run.directory, "kserve");
  // The manager has no flag for its webhook certificate: this is where it looks.
  const certificateDirectory = join(temporary, "k8s-webhook-server", "serving-certs");
  mkdirSync(certificateDirectory, { recursive: true });
  writeFileSync(join(certificateDirectory, "tls.crt"), server.certificate);
  writeFileSync(join(certificateDirectory, "tls.key"), server.privateKey, { mode: 0o600 });
  const [webhookPort, healthPort] = [await freePort(), await freePort()];
  await run.start({
    name: "kserve",
    command: join(directory, "manager"),
    arguments: [
      `--kubeconfig=${kubeconfig}`,
      `--webhook-port=${webhookPort}`, // the one port not on loopback alone: the manager has no flag for its address
      `--health-probe-addr=127.0.0.1:${healthPort}`,
      "--metrics-addr=0", // no metrics
      "--leader-elect=false",
    ],
    environment: { POD_NAMESPACE: NAMESPACE, TMPDIR: temporary },
    directory: run.directory,
    isReady: () => answersOk(`http://127.0.0.1:${healthPort}/readyz`),
    readyWithinSeconds: 60,
  });
  return `https://127.0.0.1:${webhookPort}`;
}
