import { PeprModule } from "pepr";
import { runModule } from "./capabilities/pepr-runtime";
import packageJson from "./package.json";

void runModule(capability => new PeprModule(packageJson, [capability]));
