import { spawn } from "node:child_process";
import path from "node:path";
import { run } from "../testbed/commands";
import { cleanEnvironment } from "../testbed/processes";
import { forgetGroup, watchGroup } from "../testbed/watchdog";
import { bridge } from "./port-bridge";

/**
 * A pod's network: a namespace with nothing but a loopback of its own, so that two pods may listen on the same ports. What
 * may come in and go out is bridged by Unix sockets.
 */
export interface PodNetwork {
  /** Path of the namespace, for nsenter. */
  readonly namespace: string;
  /** The Unix socket that leads to a port in the pod. */
  readonly socketOf: (port: number) => string;
  readonly close: () => Promise<void>;
}

/**
 * Needs root.
 *
 * @param directory an empty folder; its path must be short, for a Unix socket's has at most 107 characters
 * @param ports those in the pod that others may reach
 * @param outgoing ports on this machine's loopback that the pod reaches under the same address
 */
export async function createPodNetwork(
  directory: string,
  ports: readonly number[],
  outgoing: readonly number[],
): Promise<PodNetwork> {
  const socketOf = (port: number): string => path.join(directory, `in-${port}`);
  const exits = outgoing.map(port => ({ port, socket: path.join(directory, `out-${port}`) }));
  const exitBridges = await Promise.all(
    exits.map(({ port, socket }) => bridge({ path: socket }, { host: "127.0.0.1", port })),
  );
  const bridges = [
    ...ports.map(port => `${socketOf(port)}=127.0.0.1:${port}`),
    ...exits.map(({ port, socket }) => `127.0.0.1:${port}=${socket}`),
  ];
  // The process that bridges is the one that keeps the namespace, as a pod's pause container does.
  const script = 'ip link set lo up && exec "$@"';
  const command = [process.execPath, "--import", "tsx", "test/install/port-bridge-main.ts", ...bridges];
  const child = spawn("unshare", ["--net", "sh", "-c", script, "sh", ...command], {
    detached: true,
    env: cleanEnvironment(),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error("unshare could not be started");
  watchGroup(pid);
  const ended = new Promise<void>(resolve => {
    child.once("close", () => {
      forgetGroup(pid);
      resolve();
    });
  });
  await Promise.race([
    new Promise(resolve => child.stdout.once("data", resolve)),
    ended.then(() => {
      throw new Error("The network of a pod could not be made");
    }),
  ]);
  return {
    namespace: `/proc/${pid}/ns/net`,
    socketOf,
    async close() {
      child.kill("SIGKILL");
      await Promise.all([ended, ...exitBridges.map(one => one.close())]);
    },
  };
}

/** A Service's address on this machine, as kube-proxy makes it on a node. */
export interface ServiceAddress {
  readonly close: () => Promise<void>;
}

/**
 * Makes a Service's cluster address reachable from this machine, with the API server and MLflow on it. Needs root: the
 * address is put on the loopback device, and goes by itself after an hour should this process not get to remove it.
 *
 * @param ports by the Service's port, the Unix socket that leads to where it leads
 */
export async function serveClusterAddress(
  address: string,
  ports: ReadonlyMap<number, string>,
): Promise<ServiceAddress> {
  const lifetime = ["valid_lft", "3600", "preferred_lft", "3600"];
  await run("ip", ["address", "add", `${address}/32`, "dev", "lo", ...lifetime]);
  const bridges = await Promise.all(
    [...ports].map(([port, socket]) => bridge({ host: address, port }, { path: socket })),
  );
  return {
    async close() {
      await Promise.all(bridges.map(one => one.close()));
      await run("ip", ["address", "del", `${address}/32`, "dev", "lo"]);
    },
  };
}
