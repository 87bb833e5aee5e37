import { PeprModule } from "pepr";
import { createModelDeployment } from "./capabilities/model-deployment";
import { finishBeforeExit } from "./capabilities/operations/termination";
import packageJson from "./package.json";

void createModelDeployment().then(({ capability, stop }) => {
  new PeprModule(packageJson, [capability]);
  finishBeforeExit(stop);
});
