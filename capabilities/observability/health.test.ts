import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { deferred } from "../../test/support/unit/outcomes";
import { createHealthCheck } from "./health";

const reachable = (): Promise<void> => Promise.resolve();
const unreachable = (): Promise<void> => Promise.reject(new Error("connection refused"));

describe("createHealthCheck", () => {
  it.each([
    [reachable, reachable, true, true],
    [unreachable, reachable, false, true],
    [reachable, unreachable, true, false],
    [unreachable, unreachable, false, false],
  ])(
    "tells which of the two systems answers (%#)",
    async (mlflow, kubernetes, mlflowConnected, kubernetesConnected) => {
      expect(await createHealthCheck(mlflow, kubernetes)()).toEqual({ mlflowConnected, kubernetesConnected });
    },
  );

  describe("asked often", () => {
    // Only the clocks: promises and timers stay real.
    beforeEach(() => vi.useFakeTimers({ toFake: ["Date", "performance"], now: 1_760_000_000_000 }));
    afterEach(() => vi.useRealTimers());

    it("asks once within two seconds, and again after", async () => {
      let asked = 0;
      const health = createHealthCheck(() => Promise.resolve(void asked++), reachable);
      await Promise.all([health(), health()]);
      vi.advanceTimersByTime(2_000);
      await health();
      expect(asked).toBe(1);
      vi.advanceTimersByTime(1);
      await health();
      expect(asked).toBe(2);
    });

    it("does not ask again while an answer is awaited, however long it takes", async () => {
      let asked = 0;
      const slow = deferred<undefined>();
      const health = createHealthCheck(() => {
        asked++;
        return slow.promise;
      }, reachable);
      const first = health();
      vi.advanceTimersByTime(10_000);
      const second = health();
      expect(asked).toBe(1);
      slow.resolve(undefined);
      expect(await Promise.all([first, second])).toEqual(
        Array(2).fill({ mlflowConnected: true, kubernetesConnected: true }),
      );
    });

    it("is not held up by a clock that is set back", async () => {
      let up = true;
      const health = createHealthCheck(() => (up ? reachable() : unreachable()), reachable);
      await health();
      up = false;
      vi.advanceTimersByTime(5_000);
      vi.setSystemTime(1_760_000_000_000 - 3_600_000);
      expect(await health()).toEqual({ mlflowConnected: false, kubernetesConnected: true });
    });
  });
});
