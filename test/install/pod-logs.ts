import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { dump } from "js-yaml";
import { waitFor } from "../support/waiting";
import { createCertificates } from "../testbed/certificates";
import type { Kubectl } from "../testbed/kubectl";
import { kwokDirectory } from "../testbed/kwok";
import { freePort } from "../testbed/ports";
import { answersOk } from "../testbed/probe";
import { cleanEnvironment } from "../testbed/processes";
import { forgetGroup, removeAtEnd, watchGroup } from "../testbed/watchdog";

const NODE = "testbed-node";

/**
 * Makes `kubectl logs` work for some pods of the testbed's node: kwok, which simulates that node, can serve logs as a kubelet
 * does, but only with a configuration that names each pod's file. One more kwok, which looks after no node, does that, and the
 * node's status says that its kubelet is there.
 *
 * @param pods by the pod's name, the file with the log of its container, in the format of container runtimes (CRI)
 */
export async function serveLogs(
  kubectl: Kubectl,
  options: {
    readonly kubeconfig: string;
    readonly kubectlPath: string;
    readonly namespace: string;
    readonly pods: Readonly<Record<string, string>>;
  },
): Promise<{ readonly stop: () => Promise<void> }> {
  const directory = mkdtempSync(path.join(tmpdir(), "pod-logs-"));
  removeAtEnd(directory);
  const built = await kwokDirectory(options.kubectlPath, () => undefined);
  const { server } = await createCertificates();
  const write = (name: string, text: string): string => {
    writeFileSync(path.join(directory, name), text, { mode: 0o600 });
    return path.join(directory, name);
  };
  const logs = Object.entries(options.pods).map(([name, logsFile]) => ({
    apiVersion: "kwok.x-k8s.io/v1alpha1",
    kind: "Logs",
    metadata: { name, namespace: options.namespace },
    spec: { logs: [{ logsFile, follow: true }] },
  }));
  const port = await freePort();
  const child = spawn(
    path.join(built, "kwok"),
    [
      `--kubeconfig=${options.kubeconfig}`,
      `--config=${write("logs.yaml", logs.map(one => dump(one)).join("---\n"))}`,
      // It starts with none but the stages that it has for nodes and pods; no node has this label.
      `--config=${path.join(built, "stages.yaml")}`,
      "--manage-all-nodes=false",
      "--manage-nodes-with-label-selector=logs-only=true",
      `--server-address=127.0.0.1:${port}`,
      `--tls-cert-file=${write("server.crt", server.certificate)}`,
      `--tls-private-key-file=${write("server.key", server.privateKey)}`,
    ],
    { detached: true, env: { ...cleanEnvironment(), HOME: directory }, stdio: "ignore" },
  );
  const { pid } = child;
  if (pid === undefined) throw new Error("kwok could not be started");
  watchGroup(pid);
  const ended = once(child, "exit");
  await waitFor(
    "the server for logs",
    async () => (await answersOk(`http://127.0.0.1:${port}/healthz`)) || undefined,
    120_000,
  );
  const status = {
    // The API server prefers the host name, which nobody here could look up.
    addresses: [
      { type: "InternalIP", address: "127.0.0.1" },
      { type: "Hostname", address: "127.0.0.1" },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
  };
  await kubectl(["patch", "node", NODE, "--subresource=status", "--type=merge", "-p", JSON.stringify({ status })]);
  return {
    async stop() {
      child.kill("SIGKILL");
      await ended;
      forgetGroup(pid);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
