import type { MlflowTransport } from "./transport";

/** Rejects calls under way when the signal comes, with the reason: nobody waits for their answers then. */
export function stoppable(transport: MlflowTransport, signal: AbortSignal, reason: Error): MlflowTransport {
  return call =>
    new Promise((resolve, reject) => {
      const stop = (): void => {
        reject(reason);
      };
      if (signal.aborted) {
        stop();
        return;
      }
      signal.addEventListener("abort", stop, { once: true });
      void transport(call)
        .then(resolve, reject)
        .finally(() => {
          signal.removeEventListener("abort", stop);
        });
    });
}
