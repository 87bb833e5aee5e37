import { PeprModule } from "pepr";
import { createModelDeployment } from "./capabilities/model-deployment";
import packageJson from "./package.json";

void createModelDeployment().then(capability => new PeprModule(packageJson, [capability]));
