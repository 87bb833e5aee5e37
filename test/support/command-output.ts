import { startTestbed } from "../testbed";
import type { Testbed, TestbedOptions } from "../testbed";

/** Prints a line of a command's output. */
export function say(line: string): void {
  console.log(line);
}

/** Starts the testbed, and prints how that goes on. See {@link startTestbed} for what it throws. */
export function startTestbedAloud(options: Omit<TestbedOptions, "progress"> = {}): Promise<Testbed> {
  return startTestbed({
    ...options,
    progress: message => {
      say(`  ${message}`);
    },
  });
}
