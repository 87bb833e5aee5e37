// The module as a pod runs it, but for the port of Pepr's own server and the name of its store in the cluster: pepr.ts
// gives no choice about them, and several copies run on one machine, or beside an installation.
import { PeprModule } from "pepr";
import { runModule } from "../../capabilities/pepr-runtime";
import packageJson from "../../package.json";

const {
  REPLICA_UUID: uuid = packageJson.pepr.uuid,
  REPLICA_PEPR_PORT,
  REPLICA_PEPR_UP_WITHIN,
  PEPR_MODE,
} = process.env;
const port = Number(REPLICA_PEPR_PORT);

void runModule(
  capability => {
    const description = { ...packageJson, pepr: { ...packageJson.pepr, uuid } };
    const module = new PeprModule(description, [capability], { deferStart: true });
    // Asked for its actions it has told them by now.
    if (PEPR_MODE !== "build") module.start(port);
  },
  { port, ...(REPLICA_PEPR_UP_WITHIN === undefined ? {} : { upWithin: Number(REPLICA_PEPR_UP_WITHIN) }) },
);
