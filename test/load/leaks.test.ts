import path from "node:path";
import { beforeAll, expect, inject, it } from "vitest";
import { installPeprStore } from "../support/pepr-store";
import { createReplica } from "../support/replica";
import { waitFor } from "../support/waiting";
import { createNamespace, testKubectl } from "../testbed/namespaces";
import { runLeakCheck } from "./leak-run";

beforeAll(async () => {
  await installPeprStore(testKubectl(), inject("kubeconfig"));
});

// The short form of `npm run leaks`, which sends 100,000 and allows 10 %: in so short a time V8 still finds its size.
it("does not leak while deliveries of all kinds come", async () => {
  const run = await runLeakCheck({
    kubeconfig: inject("kubeconfig"),
    mlflowTrackingUri: inject("mlflowTrackingUri"),
    logDirectory: inject("logDirectory"),
    namespace: await createNamespace("leaks"),
    deliveries: 2000,
    samples: 9,
    models: 2,
    seed: 1,
    silent: "cut",
    // Its 32 connections to the API server are kept for a minute.
    limits: { resident: 0.25, heap: 0.25, descriptors: 32 },
  });

  expect(run.leaks).toEqual([]);
  expect(run.end.deliveries).toBe(2000);
  // Something was done for each kind, or the run would show nothing.
  expect(run.report.kinds.size).toBe(12);
}, 400_000);

it("lives on when a promise is rejected that nobody waits for", async () => {
  const replica = await createReplica({
    name: "rejected-promise",
    role: "endpoint",
    kubeconfig: inject("kubeconfig"),
    logDirectory: inject("logDirectory"),
    settings: {
      MLFLOW_TRACKING_URI: inject("mlflowTrackingUri"),
      MLFLOW_WEBHOOK_SECRET: "a secret that only MLflow and the module know",
      KUBE_NAMESPACE: await createNamespace("rejected"),
    },
    nodeOptions: ["--require", path.resolve("test/load/preload/reject-a-promise.cjs")],
  });
  await replica.start();
  try {
    const { pid } = replica;
    if (pid === undefined) throw new Error("The replica has ended");
    process.kill(pid, "SIGUSR2");

    const line = await waitFor("the log", () => replica.logged.find(({ msg }) => msg?.startsWith("Unexpected error")));
    expect(line.cause).toBe("nobody waits for this promise");
    expect(line.stack).toContain("reject-a-promise.cjs");
    expect((await fetch(`${replica.url}/livez`)).status).toBe(200);
    expect(replica.crashes).toBe(0);
  } finally {
    await replica.terminate();
  }
});
