import { Agent, request } from "node:https";
import type { Certificates } from "./certificates";

/** As much as the testbed needs to know of an object of the API. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string } & Record<string, unknown>;
}

// The kinds that setting up a cluster takes. (kubectl could do it, but a process for every question asked while the
// cluster comes up takes the time that the cluster needs.)
const RESOURCES: Readonly<Record<string, string>> = {
  ClusterServingRuntime: "clusterservingruntimes",
  ClusterStorageContainer: "clusterstoragecontainers",
  ConfigMap: "configmaps",
  CustomResourceDefinition: "customresourcedefinitions",
  MutatingWebhookConfiguration: "mutatingwebhookconfigurations",
  Namespace: "namespaces",
  Node: "nodes",
  Secret: "secrets",
  ValidatingWebhookConfiguration: "validatingwebhookconfigurations",
};

const AGGREGATED_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

interface Discovery {
  items?: { metadata?: { name?: string }; versions?: { resources?: { resource?: string }[] }[] }[];
}

/** The API of our own cluster, as its administrator. */
export class ClusterApi {
  readonly #agent: Agent;

  constructor(
    readonly url: string,
    { authority, administrator }: Certificates,
  ) {
    const { certificate: cert, privateKey: key } = administrator;
    this.#agent = new Agent({ keepAlive: true, ca: authority.certificate, cert, key });
  }

  /** Reads an object. @throws when the API answers anything but 200, or not at all */
  get(path: string, accept = "application/json"): Promise<unknown> {
    return this.#send("GET", path, accept);
  }

  /** Creates an object. @throws when the API refuses it, or does not answer */
  async create(object: KubernetesObject): Promise<void> {
    const { apiVersion, kind, metadata } = object;
    const resource = RESOURCES[kind];
    if (!resource) throw new Error(`The testbed does not know under which path the API has a ${kind}.`);
    const base = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const scope = metadata.namespace ? `/namespaces/${metadata.namespace}` : "";
    await this.#send("POST", `${base}${scope}/${resource}`, "application/json", object);
  }

  /** The plural names of the resources of an API group that clients can find by now. */
  async servedResources(group: string): Promise<string[]> {
    const { items = [] } = (await this.get("/apis", AGGREGATED_DISCOVERY)) as Discovery;
    const versions = items.find(item => item.metadata?.name === group)?.versions ?? [];
    return versions.flatMap(version => (version.resources ?? []).map(({ resource }) => resource ?? ""));
  }

  #send(method: string, path: string, accept: string, body?: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const headers = { accept, "content-type": "application/json" };
      const call = request(`${this.url}${path}`, { method, headers, agent: this.#agent, timeout: 60_000 }, response => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.once("error", reject);
        response.once("end", () => {
          const status = response.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve(JSON.parse(text));
          else reject(new Error(`${method} ${path} was answered ${status}: ${text.slice(0, 500)}`));
        });
      });
      call.once("timeout", () => call.destroy(new Error(`${method} ${path} was not answered within a minute`)));
      call.once("error", reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}
