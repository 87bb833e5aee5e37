import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { beforeAll, describe, expect, inject, test, vi } from "vitest";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { uniqueModel } from "../support/listener-fixture";
import { endAsKubelet, keepLive } from "../support/kubelet";
import { installPeprStore } from "../support/pepr-store";
import { waitFor } from "../support/waiting";
import { testKubectl } from "../testbed/namespaces";
import { recordFault } from "./fault-table";
import { queueDepth, settleAnswers, surround } from "./replicas";
import { deliver, describeAnswers } from "./truth";

vi.setConfig({ maxConcurrency: 3, testTimeout: 180_000 });

beforeAll(() => installPeprStore(testKubectl(), inject("kubeconfig")));

/** Whether a request to MLflow reads this very version. */
function reads(path: string, { model }: ModelVersionKey): boolean {
  return path.includes("model-versions/get?") && path.includes(encodeURIComponent(model));
}

describe.concurrent("the module", () => {
  test("is killed between Apply or Delete and the second look, and MLflow changed in between", async context => {
    const { truth, mlflow, apiServer, startReplica } = await surround(context);
    const watcher = await startReplica({ role: "watcher" });
    await truth.remember();
    await watcher.kill();
    const endpoint = await startReplica({ role: "endpoint" });
    // From the moment that an Apply or Delete was acknowledged no look at that version gets an answer.
    const acknowledged: string[] = [];
    const held = new Set<string>();
    apiServer.answered = ({ method, path }, status) => {
      if (["PATCH", "DELETE"].includes(method) && status < 300 && path.includes("inferenceservices"))
        acknowledged.push(path);
    };
    mlflow.tamper = async path => {
      for (const key of [truth.added, truth.leaving]) {
        if (!reads(path, key) || !acknowledged.some(written => written.endsWith(truth.nameOf(key)))) continue;
        held.add(key.model);
        await sleep(60_000, undefined, { ref: false });
      }
    };
    await truth.change();
    const answers = await Promise.all([
      deliver(endpoint.url, truth.tag, truth.added),
      deliver(endpoint.url, truth.tag, truth.leaving, { action: "deleted" }),
    ]);
    await waitFor("both second looks", () => held.size === 2 || undefined);
    // What was just done becomes wrong, and the one that would have noticed dies.
    await Promise.all([
      truth.registry.deleteTag(truth.added, truth.tag),
      truth.registry.setTag(truth.leaving, truth.tag, "true"),
    ]);
    await endpoint.kill();
    expect(answers.map(({ body }) => body.action)).toEqual(["created", "deleted"]);
    await truth.converged([...truth.kept, truth.added]);

    mlflow.tamper = () => undefined;
    const start = performance.now();
    await Promise.all([endpoint.start(), watcher.start()]);
    await truth.converged([...truth.kept, truth.leaving]);

    await truth.expectUntouched();
    recordFault({
      group: "The module",
      fault: "SIGKILL between Apply or Delete and the second look; the tags were changed back meanwhile",
      sent: "tag set, tag deleted: 2 deliveries",
      answer: describeAnswers(answers),
      convergedAfter: (performance.now() - start) / 1000,
      by: "the first poll after the restart, which is counted in",
      lost: "nothing",
    });
  });

  test("is asked to end (SIGTERM) with 20 deliveries in flight", async context => {
    const { truth, mlflow, startReplica } = await surround(context);
    const model = uniqueModel("in-flight");
    const keys: ModelVersionKey[] = [];
    for (let version = 1; version <= 20; version++) {
      keys.push(await truth.registry.register(model, "s3://models/x", { [truth.tag]: "true" }));
    }
    const endpoint = await startReplica({ role: "endpoint" });
    // Not before all are there, however long that takes a busy machine.
    let answerAll = (): void => undefined;
    const all = new Promise<void>(resolve => {
      answerAll = resolve;
    });
    mlflow.tamper = () => all;
    const inFlight = keys.map(key => deliver(endpoint.url, truth.tag, key));
    await waitFor("all deliveries at work", async () => (await queueDepth(endpoint.url)) === keys.length || undefined);

    const [{ how, seconds }, { answers, unanswered }] = await Promise.all([
      endAsKubelet(endpoint),
      settleAnswers(inFlight),
      sleep(500).then(answerAll),
    ]);

    expect(unanswered).toBe(0);
    expect(answers.map(({ status }) => status)).toEqual(keys.map(() => 200));
    // The signal that the kubelet would have sent after the grace period was not needed.
    expect(how).not.toBe("SIGKILL");
    await truth.converged(keys);
    recordFault({
      group: "The module",
      fault: "SIGTERM with 20 deliveries in flight, MLflow answering in half a second",
      sent: "20 deliveries",
      answer: `${describeAnswers(answers)}; ended after ${seconds.toFixed(1)} s`,
      convergedAfter: 0,
      by: "the deliveries",
      lost: "nothing",
    });
  });

  test("has a clock that is wrong by minutes, and one that is set back by an hour", async context => {
    const { truth, startReplica } = await surround(context);
    const nodeOptions = ["--require", "./test/faults/preload/wrong-clock.cjs"];
    const watcher = await startReplica({
      role: "watcher",
      nodeOptions,
      environment: { WRONG_CLOCK_SECONDS: "0", WRONG_CLOCK_SECONDS_LATER: "-3600" },
    });
    await truth.remember();
    const [ahead, behind] = [
      await startReplica({ role: "endpoint", nodeOptions, environment: { WRONG_CLOCK_SECONDS: "360" } }),
      await startReplica({ role: "endpoint", nodeOptions, environment: { WRONG_CLOCK_SECONDS: "-360" } }),
    ];
    process.kill(watcher.pid ?? 0, "SIGUSR2");
    await truth.change();

    const answers = [
      await deliver(ahead.url, truth.tag, truth.added),
      await deliver(behind.url, truth.tag, truth.leaving, { action: "deleted" }),
    ];

    expect(answers.map(({ status }) => status)).toEqual([401, 401]);
    expect(answers[0]?.body.message).toMatch(/3\d\d s old.*clocks that differ/);
    expect(answers[1]?.body.message).toMatch(/3\d\d s in the future.*clocks that differ/);
    const convergedAfter = await truth.converged();
    await truth.expectUntouched();
    recordFault({
      group: "The module",
      fault:
        "the clocks of two endpoints are 6 min ahead and behind, the poller's is set back by an hour while it runs",
      sent: "tag set, tag deleted: 2 deliveries",
      answer: describeAnswers(answers),
      convergedAfter,
      by: "the next poll",
      lost: "nothing",
    });
  });

  test("loses its watch, and others change its services meanwhile", async context => {
    const { truth, apiServer, startReplica } = await surround(context);
    let watched = false;
    apiServer.answered = ({ isWatch, path }) => {
      if (isWatch && path.endsWith("/inferenceservices")) watched = true;
    };
    // After its first poll it does not poll again: what is put right is the watch's doing.
    const watcher = await startReplica({ role: "watcher", settings: { POLLING_INTERVAL: "3600" } });
    await truth.remember();
    const [changed, deleted] = [truth.nameOf(truth.leaving), truth.nameOf(truth.kept[0] ?? truth.added)];
    const specOf = async (): Promise<unknown> => (await truth.services.get(changed))?.spec;
    const spec = await specOf();
    const uid = (await truth.services.get(deleted))?.metadata.uid;
    await waitFor("the watch", () => watched || undefined);
    // Pepr lists all services before it watches again, and would find the changes in that list.
    apiServer.fault = ({ isWatch, path }) =>
      isWatch || path.endsWith("/inferenceservices") ? { kind: "cut before" } : undefined;
    expect(apiServer.cutWatches()).toBeGreaterThan(0);

    const patch = JSON.stringify({ spec: { predictor: { model: { storageUri: "s3://somebody/else" } } } });
    const kubectl = testKubectl();
    const namespace = `--namespace=${truth.namespace}`;
    await kubectl(["patch", "inferenceservice", changed, namespace, "--type=merge", "--patch", patch]);
    await kubectl(["delete", "inferenceservice", deleted, namespace]);
    expect(watcher.logged.filter(({ msg }) => msg?.includes("reconciled"))).toEqual([]);
    apiServer.fault = () => undefined;
    const start = performance.now();

    await waitFor(
      "the drift to be corrected",
      async () => (isDeepStrictEqual(await specOf(), spec) ? true : undefined),
      60_000,
    );
    await truth.converged([...truth.kept, truth.leaving]);
    const convergedAfter = (performance.now() - start) / 1000;

    expect((await truth.services.get(deleted))?.metadata.uid).not.toBe(uid);
    // It is logged a moment after it can be seen.
    const corrections = await waitFor("the watch's word", () => {
      const told = watcher.logged.map(({ msg }) => msg).filter(msg => msg?.includes("reconciled"));
      return told.includes("InferenceService changed by others, reconciled") ? told : undefined;
    });
    recordFault({
      group: "Kubernetes",
      fault: "the watch is cut; meanwhile one service is changed, another deleted by others",
      sent: "nothing",
      answer: [...new Set(corrections)].join("; "),
      convergedAfter,
      by: "the new watch",
      lost: "nothing",
    });
  });

  test("cannot reach the API server when Pepr's part of it starts", async context => {
    const { truth, apiServer, startReplica } = await surround(context);
    apiServer.fault = ({ path }) => (path.includes("/peprstores") ? { kind: "cut before" } : undefined);
    let watched = false;
    apiServer.answered = ({ isWatch, path }) => {
      if (isWatch && path.endsWith("/inferenceservices")) watched = true;
    };
    const settings = { POLLING_INTERVAL: "3600" };
    const watcher = await startReplica({ role: "watcher", settings, waitForPepr: false });
    // The poll is ours, and needs nothing of Pepr's.
    await truth.remember();
    await waitFor("Pepr's failure", () =>
      watcher.logged.some(({ msg }) => msg === "Failed to create Pepr store") ? true : undefined,
    );
    apiServer.fault = () => undefined;

    // Pepr does not try again: its liveness probe fails, and the kubelet starts the container again.
    const start = performance.now();
    const over = new AbortController();
    context.onTestFinished(() => {
      over.abort();
    });
    const lives: number[] = [];
    void keepLive(watcher, over.signal, async failing => {
      const { seconds } = await endAsKubelet(failing);
      lives.push(seconds);
      await failing.start();
    });
    await waitFor("the watch", () => watched || undefined, 90_000);
    const restartedAfter = (performance.now() - start) / 1000;

    const changed = truth.nameOf(truth.leaving);
    const specOf = async (): Promise<unknown> => (await truth.services.get(changed))?.spec;
    const spec = await specOf();
    await testKubectl()([
      ...["patch", "inferenceservice", changed, `--namespace=${truth.namespace}`, "--type=merge"],
      `--patch=${JSON.stringify({ spec: { predictor: { model: { storageUri: "s3://somebody/else" } } } })}`,
    ]);
    await waitFor("the drift to be corrected", async () =>
      isDeepStrictEqual(await specOf(), spec) ? true : undefined,
    );

    expect(lives).toHaveLength(1);
    recordFault({
      group: "The module",
      fault: "the API server cannot be reached in the first seconds after the start, when Pepr reads its store",
      sent: "nothing; others change a service after the restart",
      answer: "neither watch nor admission; the liveness probe fails, the kubelet starts the container again",
      convergedAfter: restartedAfter,
      by: "the restart; the poll works meanwhile",
      lost: "nothing",
    });
  });
});
