// The process of the node that runs predictors: node main.ts <settings as JSON>.
import { connectToApiServer } from "../../../capabilities/kubernetes/api-server";
import { kubeConfigFrom } from "../../support/kube-config";
import { createIngress } from "./ingress";
import { PredictorNode } from "./node";
import type { Installed } from "./programs";

/** What the process is told. */
export interface NodeSettings {
  readonly kubeconfig: string;
  /** Port of the ingress on 127.0.0.1; it answers GET / once the node is ready. */
  readonly ingressPort: number;
  readonly installed: Installed;
  readonly directory: string;
  readonly logDirectory: string;
}

async function main(): Promise<void> {
  const settings = JSON.parse(process.argv[2] ?? "{}") as NodeSettings;
  const apiServer = connectToApiServer(15_000, kubeConfigFrom(settings.kubeconfig));
  const node = new PredictorNode({
    ...settings,
    apiServer,
    log: message => {
      console.log(`${new Date().toISOString()} ${message}`);
    },
  });
  await node.serve(() => {
    createIngress(apiServer).listen(settings.ingressPort, "127.0.0.1");
  });
}

void main();
