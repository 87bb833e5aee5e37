// The module as a pod runs it, but for the port of Pepr's own server: pepr.ts gives no choice about it, and a test runs
// several copies on one machine.
import { PeprModule } from "pepr";
import { createModelDeployment } from "../../capabilities/pepr-capability";
import { finishBeforeExit } from "../../capabilities/support/termination";
import packageJson from "../../package.json";

void createModelDeployment().then(({ capability, stop }) => {
  new PeprModule(packageJson, [capability], { deferStart: true }).start(Number(process.env.REPLICA_PEPR_PORT));
  finishBeforeExit(stop);
});
