import { randomUUID } from "node:crypto";
import { describe, expect, inject, it } from "vitest";
import type { Observer } from "../../capabilities/reconciliation/observer";
import { createObserver } from "../../capabilities/reconciliation/observer";
import { createNamespace } from "../testbed/namespaces";
import { liveService } from "../support/unit/objects";
import { liveMemory } from "./collect-garbage";
import { countingLog } from "./in-process-listener";
import { runPolls } from "./poll-run";

describe("a watcher that runs for long", () => {
  it("polls through faults and holds on to nothing", async () => {
    const run = await runPolls({
      kubeconfig: inject("kubeconfig"),
      mlflowTrackingUri: inject("mlflowTrackingUri"),
      namespace: await createNamespace("polls"),
      deployTagKey: `polls-${randomUUID().slice(0, 8)}`,
      polls: 200,
    });

    expect(run.succeeded + run.failed).toBe(200);
    expect(run.failed).toBe(50);
    expect(run.failuresLogged).toBe(run.failed);
    expect(run.descriptors[1]).toBeLessThanOrEqual(run.descriptors[0]);
    const [first = 0] = run.memory;
    expect(run.memory.at(-1)).toBeLessThan(first * 1.1);
  }, 240_000);

  it("forgets services that are gone", async () => {
    const { observer, reconciled } = observe();
    createAndDelete(observer, 1000);
    const before = await liveMemory();
    createAndDelete(observer, 10_000);

    // Who kept something about each, if only its uid in a map, would hold a MiB and more.
    expect((await liveMemory()) - before).toBeLessThan(0.5);
    expect(reconciled()).toBe(11_000);
  });

  it("forgets old services at last whose end it never heard of", async () => {
    const { observer } = observe();
    // More than the 50,000 that it remembers of each kind.
    create(observer, 60_000);
    const before = await liveMemory();
    create(observer, 30_000);

    // Remembered, these would be 16 MiB; a map that forgets one for each that it is given still changes its size a little.
    expect((await liveMemory()) - before).toBeLessThan(8);
  });
});

function observe(): { observer: Observer; reconciled: () => number } {
  let reconciled = 0;
  const outcome = { namespace: "models", mlflowMilliseconds: 1, kubernetesMilliseconds: 1 } as const;
  const observer = createObserver({
    log: countingLog(),
    reconcile: key => {
      reconciled++;
      return Promise.resolve({
        ...outcome,
        action: "unchanged",
        inferenceService: `mlflow-${key.model}-v${key.version}`,
      });
    },
  });
  return { observer, reconciled: () => reconciled };
}

function create(observer: Observer, count: number): void {
  for (let made = 0; made < count; made++) observer.changed(service(made, randomUUID(), []));
}

/** Each is seen when it is made, when it is ready and when it is deleted, as the API server's watch tells it. */
function createAndDelete(observer: Observer, count: number): void {
  for (let made = 0; made < count; made++) {
    const uid = randomUUID();
    observer.changed(service(made, uid, []));
    const ready = service(made, uid, [{ type: "Ready", status: "True" }]);
    observer.changed(ready);
    observer.deleted(ready);
  }
}

function service(number: number, uid: string, conditions: readonly object[]): unknown {
  const key = { model: `model-${number}`, version: "1" };
  return liveService(key, { metadata: { uid }, status: { conditions } });
}
