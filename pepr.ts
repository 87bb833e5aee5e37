import { PeprModule } from "pepr";
import { ModelDeployment } from "./capabilities/model-deployment";
import packageJson from "./package.json";

new PeprModule(packageJson, [ModelDeployment]);
