import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { copyFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, inject, it } from "vitest";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { waitFor } from "../support/waiting";
import { cleanUp, keep, startMlflowForTest, transportTo } from "../support/webhook-modes";
import { emptyDatabaseOf } from "../testbed/python";

/** Milliseconds by which the replica is behind; the looks at what was not there yet last for 7.75 s. */
const LAG = 2_000;

/**
 * For each line that it reads, it copies one SQLite database into another that is in use, as a replica gets what the primary
 * committed, and writes a line. On a busy machine, a Python for each copy might take longer to start than the looks last.
 */
const REPLICATE = `
import sqlite3, sys
for line in sys.stdin:
    sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))
    print("copied", flush=True)
`;

it("deploys and removes by deliveries though MLflow reads from a replica that is behind, without a poll", async () => {
  const python = inject("python");
  const folder = await mkdtemp(join(tmpdir(), "lagging-replica-"));
  cleanUp.push(() => rm(folder, { recursive: true }));
  const [primary, replica] = [join(folder, "primary.db"), join(folder, "replica.db")];
  for (const database of [primary, replica]) copyFileSync(emptyDatabaseOf(python), database);
  const copier = spawn(python, ["-c", REPLICATE, primary, replica], { stdio: ["pipe", "pipe", "inherit"] });
  cleanUp.push(() => Promise.resolve(copier.kill()));
  const copies = createInterface(copier.stdout)[Symbol.asyncIterator]();
  const replicate = async (): Promise<void> => {
    copier.stdin.write("\n");
    expect(await copies.next()).toEqual({ done: false, value: "copied" });
  };
  const { trackingUri } = await startMlflowForTest({
    database: primary,
    arguments: ["--read-replica-backend-store-uri", `sqlite:///${replica}`],
  });
  const tag = `deploy-${randomUUID().slice(0, 8)}`;
  const running = await startListener({ mlflowTrackingUri: trackingUri, settings: { DEPLOY_TAG_KEY: tag } });
  const handled = (): unknown[] =>
    running.logged.filter(({ message }) => message === "Delivery handled").map(({ fields }) => fields.action);

  // The webhook, too, is only delivered to when the replica knows of it.
  const { reaches, keeper } = keep({
    transport: transportTo(trackingUri),
    name: tag,
    url: `${running.url}/webhook`,
    startupTimeout: 120,
  });
  while (keeper.state().mode !== "webhook") {
    await replicate();
    await sleep(200);
  }
  await reaches("webhook");
  const registry = openRegistry(trackingUri);
  const key = await registry.register(uniqueModel("replicated"));
  await replicate();
  await sleep(1_500);

  await registry.setTag(key, tag, "true");
  await waitFor("the delivery's answer", () => Promise.resolve(handled().length === 1 ? true : undefined));
  expect(handled()).toEqual(["unchanged"]);
  expect(await running.deployed()).toEqual([]);
  await sleep(LAG);
  await replicate();
  await waitFor("the service", async () => ((await running.deployed()).length === 1 ? true : undefined));

  await registry.deleteTag(key, tag);
  await waitFor("the second answer", () => Promise.resolve(handled().length === 2 ? true : undefined));
  expect(handled()).toEqual(["unchanged", "unchanged"]);
  expect(await running.deployed()).toHaveLength(1);
  await sleep(LAG);
  await replicate();
  await waitFor("the service's end", async () => ((await running.deployed()).length === 0 ? true : undefined));

  await waitFor("both counted", async () => {
    const metrics = await (await fetch(`${running.url}/metrics`)).text();
    expect(metrics.match(/^mlflow_lagging_reads_total.*$/gm)).toEqual([
      'mlflow_lagging_reads_total{result="caught_up"} 2',
      'mlflow_lagging_reads_total{result="unresolved"} 0',
    ]);
    return true;
  });
});
