import "../text-modules";
import { readFileSync } from "node:fs";
import { startHttpServer } from "../../../capabilities/server/http-server";
import { createRoutes } from "../../../capabilities/server/routes";
import { fakeCluster } from "../../support/unit/fake-cluster";
import { liveService, stateOfService } from "../../support/unit/objects";
import { recordingLog } from "../../support/unit/recording-log";

// The endpoint with a full page of services. They are from memory: what a flood does to the endpoint is asked here, and five
// hundred real services would be asked of the cluster that other tests share.
const services = Array.from({ length: 500 }, (_, at) => liveService({ model: `model-${at}`, version: "1" }));
const routes = createRoutes({
  deliveries: undefined,
  health: () => Promise.resolve({ mlflowConnected: true, kubernetesConnected: true }),
  services: fakeCluster(...services),
  stateOf: stateOfService,
});

async function main(): Promise<void> {
  const { port } = await startHttpServer({ host: "127.0.0.1", port: 0, routes: routes.all, log: recordingLog().log });
  process.on("message", () => {
    const peak = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    process.send?.({ peakMebibytes: Number(peak) / 1024 });
  });
  process.send?.({ port });
}

process.once("disconnect", () => process.exit());
void main();
