import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const BYTES_IN_MEBIBYTE = 1024 * 1024;

/**
 * Collects this process' garbage and tells what is left: live objects and the buffers that belong to them, in MiB. Works
 * in any process, where `--expose-gc` would have to be given at its start.
 */
export async function liveMemory(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  // Twice, with a turn of the event loop between: what finalizers let go of is collected by the second.
  collect();
  await new Promise(resolve => setImmediate(resolve));
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / BYTES_IN_MEBIBYTE;
}
