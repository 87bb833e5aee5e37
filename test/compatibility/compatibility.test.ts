import { expect, inject, it, vi } from "vitest";
import { startMlflowForTest } from "../support/webhook-modes";
import { testKubectl } from "../testbed/namespaces";
import { playCycle } from "./cycle";
import { tableOf } from "./document";

vi.setConfig({ testTimeout: 400_000 });

// With the testbed's own release of MLflow, so that the command works; the releases are its business. In the server of all
// tests, deliveries to others' webhooks may keep its threads busy for minutes.
it("plays the main cycle by webhook and by poll", async () => {
  const { trackingUri } = await startMlflowForTest({ workers: 2 });
  const cycle = await playCycle({
    kubeconfig: inject("kubeconfig"),
    kubectl: testKubectl(),
    logDirectory: inject("logDirectory"),
    trackingUri,
    name: "compatibility",
  });
  expect(cycle).toMatchObject({ mode: "webhook", cause: undefined });
  const { byWebhook, byPoll } = cycle;
  for (const seconds of [byWebhook, byPoll].flatMap(times => [times?.deployed, times?.ready, times?.removed]))
    expect(seconds).toBeGreaterThanOrEqual(0);
  expect(
    tableOf("MLflow", [
      { release: "3.x", cycle: { ...cycle, byPoll: { deployed: 9.5, ready: 10, removed: 3 } } },
      { release: "0.1", problem: "no | such\nrelease" },
    ]),
  ).toMatch(
    /^\| 3\.x \| webhook and poll \| [\d.]+ s, [\d.]+ s, [\d.]+ s \| 9\.5 s, 10 s, 3 s \| {2}\|\n\| 0\.1 \| nothing \| .* \| no \\\| such release \|$/m,
  );
});
