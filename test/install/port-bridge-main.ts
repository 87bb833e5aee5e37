// Bridges as a process of its own, for another network namespace: each argument is FROM=TO, an end being host:port or the
// path of a Unix socket. Says "ready" once all listen.
import { bridge, parseBridgeEnd } from "./port-bridge";

void Promise.all(
  process.argv.slice(2).map(async argument => {
    const [from = "", to = ""] = argument.split("=");
    return await bridge(parseBridgeEnd(from), parseBridgeEnd(to));
  }),
).then(() => {
  console.log("ready");
});
