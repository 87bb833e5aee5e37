import { tmpdir } from "node:os";
import { afterAll, beforeAll, expect, inject, test, vi } from "vitest";
import { installPeprStore } from "../support/pepr-store";
import { waitFor } from "../support/waiting";
import { startTestbed } from "../testbed";
import type { PartName, Testbed } from "../testbed";
import { kubectlFor } from "../testbed/kubectl";
import { recordFault } from "./fault-table";
import { settleAnswers, surround } from "./replicas";
import { deliver, describeAnswers } from "./truth";

vi.setConfig({ testTimeout: 240_000, hookTimeout: 180_000 });

// A cluster of its own, whose parts can be killed without a harm to other tests.
let testbed: Testbed;

beforeAll(async () => {
  testbed = await startTestbed({ mlflowTrackingUri: inject("mlflowTrackingUri") });
  await installPeprStore(kubectlFor(testbed.kubectl, testbed.kubeconfig, tmpdir()), testbed.kubeconfig);
});

afterAll(() => testbed.stop());

const PARTS: readonly [part: PartName, fault: string][] = [
  ["etcd", "etcd is killed, and started again"],
  ["kube-apiserver", "the API server is killed, and started again"],
  ["kserve", "KServe's controller is killed, and with it the admission; started again"],
];

test("parts of the cluster are killed and started again", async context => {
  const kubectl = kubectlFor(testbed.kubectl, testbed.kubeconfig, tmpdir());
  const [namespace, { kubeconfig }] = ["fault-restarts", testbed];
  await kubectl(["create", "namespace", namespace]);
  const { truth, startReplica } = await surround(context, { kubeconfig, namespace });
  const { registry, tag, kept, added, leaving, services, nameOf } = truth;
  const [watcher, endpoint] = await Promise.all([
    startReplica({ role: "watcher", kubeconfig }),
    startReplica({ role: "endpoint", kubeconfig }),
  ]);
  await truth.remember();
  let [coming, going] = [added, leaving];

  for (const [name, fault] of PARTS) {
    const part = testbed.parts[name];
    part?.kill();
    await waitFor(`the end of ${name}`, () => part?.pid === undefined || undefined);
    await Promise.all([registry.setTag(coming, tag, "true"), registry.deleteTag(going, tag)]);

    const { answers, unanswered } = await settleAnswers([
      deliver(endpoint.url, tag, coming),
      deliver(endpoint.url, tag, going, { action: "deleted" }),
    ]);

    expect(unanswered).toBe(0);
    // What MLflow tries again; a Delete needs no admission of KServe's.
    for (const { status } of answers) expect(name === "kserve" ? [200, 500] : [500]).toContain(status);
    await part?.start();
    const convergedAfter = await truth.converged([...kept, coming]);
    await truth.expectUntouched();
    expect([watcher.crashes, endpoint.crashes]).toEqual([0, 0]);
    recordFault({
      group: "Kubernetes",
      fault,
      sent: "tag set, tag deleted: 2 deliveries",
      answer: describeAnswers(answers),
      convergedAfter,
      by: "the next poll",
      lost: "nothing",
    });
    [coming, going] = [going, coming];
  }

  // The watch lives again: what others change is put right, by it and not by the next poll, which may have been quicker.
  const specOf = async (): Promise<unknown> => (await services.get(nameOf(going)))?.spec;
  const spec = await specOf();
  const patch = JSON.stringify({ spec: { predictor: { model: { storageUri: "s3://somebody/else" } } } });
  await waitFor(
    "the watch's word",
    async () => {
      await kubectl([
        ...["patch", "inferenceservice", nameOf(going), `--namespace=${namespace}`],
        ...["--type=merge", `--patch=${patch}`],
      ]);
      await waitFor("the change to be put right", async () => {
        expect(await specOf()).toEqual(spec);
        return true;
      });
      return watcher.logged.some(({ msg }) => msg === "InferenceService changed by others, reconciled") || undefined;
    },
    120_000,
  );
});
