import dns from "node:dns";
import { onTestFinished } from "vitest";

type Callback = (error: NodeJS.ErrnoException | null, address: unknown, family?: number) => void;

/**
 * Has a name lead to loopback until the end of the test, for connections of this process: Node's HTTP client looks names up
 * by this function. No file of the machine is touched, and other names are looked up as ever.
 */
export function leadToLoopback(name: string): void {
  const original = dns.lookup;
  const replaced = (host: string, options: unknown, callback?: Callback): void => {
    if (host !== name) {
      Reflect.apply(original, dns, [host, options, callback]);
      return;
    }
    const answer = (typeof options === "function" ? options : callback) as Callback;
    const wantsAll = typeof options === "object" && options !== null && "all" in options && options.all === true;
    if (wantsAll) answer(null, [{ address: "127.0.0.1", family: 4 }]);
    else answer(null, "127.0.0.1", 4);
  };
  dns.lookup = replaced as typeof dns.lookup;
  onTestFinished(() => {
    dns.lookup = original;
  });
}
