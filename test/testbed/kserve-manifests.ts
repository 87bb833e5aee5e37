import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadAll } from "js-yaml";
import { isCached } from "./cache";
import type { KubernetesObject } from "./cluster-api";
import { run as runCommand } from "./commands";
import { goBinaries, goBuildKey, sourceDirectory } from "./go-binaries";
import type { KserveModule } from "./go-binaries";

const MODULE = "github.com/kserve/kserve";
const PROGRAMS = [{ packagePath: `${MODULE}/cmd/manager`, binary: "manager" }];

/** Whether KServe does not have to be compiled. */
export function kserveIsBuilt(): boolean {
  return isCached("kserve", goBuildKey({ module: "kserve", programs: PROGRAMS }));
}

/**
 * Builds KServe's controller manager, or finds it in the cache, with the manifests of the same release beside it.
 * @param kubectl path of a kubectl, to put the manifests together with
 */
export function kserveDirectory(
  module: KserveModule,
  kubectl: string,
  progress: (message: string) => void,
): Promise<string> {
  const finish = async (directory: string): Promise<void> => {
    const config = join(await sourceDirectory(module, MODULE), "config");
    const folders = {
      crds: join("crd", "full"),
      configuration: "configmap",
      runtimes: "runtimes",
      "storage-containers": "storagecontainers",
    };
    for (const [name, folder] of Object.entries(folders)) {
      const { stdout } = await runCommand(kubectl, ["kustomize", join(config, folder)]);
      write(directory, name, stdout);
    }
    write(directory, "webhooks", readFileSync(join(config, "webhook", "manifests.yaml"), "utf8"));
  };
  return goBinaries({ module, programs: PROGRAMS, finish }, progress);
}

// As JSON, because reading two megabytes of YAML at every start would take a second.
function write(directory: string, name: string, yaml: string): void {
  const objects = loadAll(yaml).filter(object => object !== null);
  writeFileSync(join(directory, `${name}.json`), JSON.stringify(objects));
}

/** Reads objects that kserveDirectory has put beside the program. */
export function readManifests(directory: string, name: string): KubernetesObject[] {
  return JSON.parse(readFileSync(join(directory, `${name}.json`), "utf8")) as KubernetesObject[];
}

/**
 * KServe's own configuration, changed for a cluster that has neither Knative nor an ingress.
 *
 * @param deploymentMode what the release calls predictors that are Deployments: Standard, or RawDeployment before 0.16
 */
export function forBareCluster(
  configMap: KubernetesObject & { data?: Record<string, string> },
  deploymentMode: "Standard" | "RawDeployment",
): KubernetesObject {
  const change = (key: string, values: Record<string, unknown>): string => {
    const section = JSON.parse(configMap.data?.[key] ?? "{}") as Record<string, unknown>;
    return JSON.stringify({ ...section, ...values });
  };
  const data = {
    ...configMap.data,
    deploy: change("deploy", { defaultDeploymentMode: deploymentMode }),
    ingress: change("ingress", { disableIngressCreation: true, disableIstioVirtualHost: true }),
  };
  return { ...configMap, data } as KubernetesObject;
}

interface Webhook {
  clientConfig: { service?: { path?: string }; url?: string; caBundle?: string };
}

/**
 * One of KServe's webhook configurations, pointed at a manager that runs beside the API server, not behind a Service.
 * @param url base URL of the manager's webhook server
 * @param authority PEM text of the authority that signed its certificate
 */
export function byUrl(
  configuration: KubernetesObject & { webhooks?: Webhook[] },
  url: string,
  authority: string,
): KubernetesObject {
  const caBundle = Buffer.from(authority).toString("base64");
  const webhooks = (configuration.webhooks ?? []).map(webhook => ({
    ...webhook,
    clientConfig: { url: `${url}${webhook.clientConfig.service?.path ?? ""}`, caBundle },
  }));
  return { ...configuration, webhooks } as KubernetesObject;
}
