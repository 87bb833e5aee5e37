import { PeprModule } from "pepr";
import { createModelDeployment } from "./capabilities/pepr-capability";
import { finishBeforeExit } from "./capabilities/support/termination";
import packageJson from "./package.json";

void createModelDeployment().then(({ capability, stop }) => {
  new PeprModule(packageJson, [capability]);
  finishBeforeExit(stop);
});
