import { spawn } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { request as secureRequest } from "node:https";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import type { V1Container, V1EnvVar, V1Pod } from "@kubernetes/client-node";
import { waitFor } from "../support/waiting";
import type { Kubectl } from "../testbed/kubectl";
import { forgetGroup, removeAtEnd, watchGroup } from "../testbed/watchdog";
import { createPodNetwork } from "./pod-network";
import type { PodNetwork } from "./pod-network";
import { podSources, writeVolume } from "./pod-volumes";
import type { PodSources } from "./pod-volumes";

/** What stands for a container's image: the programs of this machine, and what the image has besides. */
export interface ImageStandIn {
  readonly entrypoint: readonly string[];
  readonly workingDirectory: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Folders of this machine by the place where the image has them, read-only. */
  readonly directories: Readonly<Record<string, string>>;
}

export interface PodOptions {
  readonly kubectl: Kubectl;
  readonly pod: V1Pod;
  readonly image: ImageStandIn;
  /** The API server's port on this machine's loopback. */
  readonly apiServerPort: number;
  /** Other ports there that the pod may reach, under the same address. */
  readonly outgoing: readonly number[];
  /** The pod's ports that others reach. */
  readonly ports: readonly number[];
}

/** A pod of the cluster, of which the one container runs here as a node would run it. */
export interface PodProcess {
  readonly network: PodNetwork;
  /** File with what the container wrote, in the format of container runtimes (CRI). */
  readonly logFile: string;
  /** The lines so far. */
  readonly logged: readonly string[];
  /** Asks the readiness probe until it passes; its initial delay is left out. @throws Error when the container ended */
  readonly ready: () => Promise<void>;
  /** Ends it and removes all that was made for it. */
  readonly stop: () => Promise<void>;
}

/** Milliseconds that a container may take until it is ready, on a busy machine. */
const READY_WITHIN = 120_000;

/**
 * Plays the kubelet for a pod that the cluster's own controllers made: environment, volumes, arguments, user and
 * capabilities are those of the Pod, the volume with the ServiceAccount's token included. Needs root.
 */
export async function startPod(options: PodOptions): Promise<PodProcess> {
  const { pod, kubectl, image } = options;
  const [container, ...others] = pod.spec?.containers ?? [];
  if (container === undefined || others.length > 0) throw new Error("Only pods with one container are known here");
  // A short path: see createPodNetwork.
  const directory = mkdtempSync(path.join(tmpdir(), "pod-"));
  removeAtEnd(directory);
  const sources = podSources(kubectl, pod);
  for (const volume of pod.spec?.volumes ?? []) {
    await writeVolume(volume, sources, path.join(directory, "volumes", volume.name));
  }
  const network = await createPodNetwork(directory, options.ports, [options.apiServerPort, ...options.outgoing]);
  const environment = {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ...image.environment,
    // What the kubelet tells each pod about the Service "kubernetes".
    KUBERNETES_SERVICE_HOST: "127.0.0.1",
    KUBERNETES_SERVICE_PORT: String(options.apiServerPort),
    HOSTNAME: pod.metadata?.name ?? "",
    ...(await environmentOf(container, sources)),
  };
  const logFile = path.join(directory, "container.log");
  const logged: string[] = [];
  const command = [...(container.command ?? image.entrypoint), ...(container.args ?? [])];
  const script = rootScript(pod, container, image, directory);
  const child = spawn(
    "nsenter",
    [`--net=${network.namespace}`, "unshare", "--mount", "sh", "-euc", script, "sh", ...command],
    { detached: true, env: environment, stdio: ["ignore", "pipe", "pipe"] },
  );
  const { pid } = child;
  if (pid === undefined) throw new Error("nsenter could not be started");
  watchGroup(pid);
  for (const [name, stream] of [["stdout", child.stdout] as const, ["stderr", child.stderr] as const]) {
    createInterface({ input: stream }).on("line", line => {
      logged.push(line);
      appendFileSync(logFile, `${new Date().toISOString().replace("Z", "000000Z")} ${name} F ${line}\n`);
    });
  }
  let howItEnded: string | undefined;
  const ended = new Promise<void>(resolve => {
    child.once("close", (code, signal) => {
      howItEnded = signal ?? String(code);
      forgetGroup(pid);
      resolve();
    });
  });
  return {
    network,
    logFile,
    logged,
    async ready() {
      await waitFor(
        `the readiness of ${pod.metadata?.name ?? ""}`,
        async () => {
          if (howItEnded !== undefined) {
            throw new Error(`The container ended (${howItEnded}):\n${logged.slice(-10).join("\n")}`);
          }
          return (await passes(container, network)) || undefined;
        },
        READY_WITHIN,
      );
    },
    async stop() {
      // The group: with the container's first process all of them go.
      if (howItEnded === undefined) process.kill(-pid, "SIGKILL");
      await ended;
      await network.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function environmentOf(container: V1Container, sources: PodSources): Promise<Record<string, string>> {
  const environment: Record<string, string> = {};
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const files = configMapRef
      ? await sources.configMap(configMapRef.name ?? "")
      : await sources.secret(secretRef?.name ?? "");
    for (const [key, value] of Object.entries(files)) environment[prefix + key] = value.toString();
  }
  for (const variable of container.env ?? []) environment[variable.name] = await valueOf(variable, sources);
  return environment;
}

async function valueOf({ name, value = "", valueFrom }: V1EnvVar, sources: PodSources): Promise<string> {
  if (valueFrom === undefined) return value;
  const { fieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  if (fieldRef) return sources.field(fieldRef.fieldPath);
  const files = configMapKeyRef
    ? await sources.configMap(configMapKeyRef.name ?? "")
    : await sources.secret(secretKeyRef?.name ?? "");
  const found = files[configMapKeyRef?.key ?? secretKeyRef?.key ?? ""];
  if (found === undefined) throw new Error(`There is no value for the variable ${name}`);
  return found.toString();
}

/** A shell script that makes the container's file system, in a mount namespace of its own, and becomes its process. */
function rootScript(pod: V1Pod, container: V1Container, image: ImageStandIn, directory: string): string {
  const root = path.join(directory, "root");
  mkdirSync(root);
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const inside = (place: string): string => quote(path.join(root, place));
  const [ofContainer, ofPod] = [container.securityContext, pod.spec?.securityContext];
  const runAsUser = ofContainer?.runAsUser ?? ofPod?.runAsUser ?? 0;
  const runAsGroup = ofContainer?.runAsGroup ?? ofPod?.runAsGroup ?? 0;
  const group = ofPod?.fsGroup ?? runAsGroup;
  const mounted = (source: string, place: string, readOnly: boolean): string[] => [
    `mkdir -p ${inside(place)}`,
    `mount --bind ${quote(source)} ${inside(place)}`,
    ...(readOnly ? [`mount -o remount,bind,ro ${inside(place)}`] : []),
  ];
  const drops = ofContainer?.capabilities?.drop?.includes("ALL") ?? false;
  const privileges = [
    ...["--reuid", String(runAsUser), "--regid", String(runAsGroup), "--groups", String(group)],
    ...(ofContainer?.allowPrivilegeEscalation === false ? ["--no-new-privs"] : []),
    ...(drops ? ["--bounding-set=-all", "--inh-caps=-all"] : []),
  ];
  return [
    `mount -t tmpfs -o mode=0755 tmpfs ${quote(root)}`,
    `mkdir -p ${["usr", "dev", "proc", "etc", "var/run"].map(inside).join(" ")}`,
    `mkdir -m 1777 ${inside("tmp")}`,
    // Links into /usr on most systems.
    `for name in bin sbin lib lib64; do if [ -L /$name ]; then cp -P /$name ${quote(root)}; elif [ -d /$name ]; then mkdir ${quote(root)}/$name; mount --rbind /$name ${quote(root)}/$name; fi; done`,
    ...["usr", "dev", "proc"].map(name => `mount --rbind /${name} ${inside(name)}`),
    // The testbed's servers are called by the machine's name.
    `echo '127.0.0.1 localhost ${hostname()}' > ${inside("etc/hosts")}`,
    `mkdir -p ${inside(image.workingDirectory)}`,
    // The image's own folder belongs to its user.
    `chown ${runAsUser}:${runAsGroup} ${inside(image.workingDirectory)}`,
    ...Object.entries(image.directories).flatMap(([place, source]) => mounted(source, place, true)),
    // Container runtimes do it in this order, so that a mount may be inside another.
    ...[...(container.volumeMounts ?? [])]
      .sort((a, b) => (a.mountPath < b.mountPath ? -1 : 1))
      .flatMap(({ name, mountPath, readOnly }) =>
        mounted(path.join(directory, "volumes", name), mountPath, readOnly ?? false),
      ),
    ...(ofContainer?.readOnlyRootFilesystem === true ? [`mount -o remount,ro ${quote(root)}`] : []),
    `exec chroot ${quote(root)} setpriv ${privileges.join(" ")} sh -c 'cd "$0" && exec "$@"' ${quote(container.workingDir ?? image.workingDirectory)} "$@"`,
  ].join("\n");
}

/** Asks the readiness probe once, as the kubelet does: it checks no certificate. */
async function passes({ readinessProbe, ports }: V1Container, network: PodNetwork): Promise<boolean> {
  const { httpGet } = readinessProbe ?? {};
  if (httpGet === undefined) return true;
  const port = ports?.find(({ name }) => name === httpGet.port)?.containerPort ?? Number(httpGet.port);
  const send = httpGet.scheme === "HTTPS" ? secureRequest : request;
  const options = { socketPath: network.socketOf(port), path: httpGet.path ?? "/", timeout: 5_000 };
  return await new Promise(resolve => {
    const asked = send({ ...options, rejectUnauthorized: false, agent: false }, answer => {
      answer.resume();
      resolve(answer.statusCode !== undefined && answer.statusCode >= 200 && answer.statusCode < 400);
    });
    asked.once("error", () => {
      resolve(false);
    });
    asked.once("timeout", () => asked.destroy());
    asked.end();
  });
}

/** The image of Pepr's controller: Node.js, and pepr with what it needs in /app/node_modules. */
export function controllerImage(): ImageStandIn {
  // Below a name of its own: Node.js need not be where the system's programs are.
  const installation = path.dirname(path.dirname(process.execPath));
  return {
    entrypoint: [path.join("/nodejs/bin", path.basename(process.execPath))],
    workingDirectory: "/app",
    directories: { "/nodejs": installation, "/app/node_modules": path.resolve("node_modules") },
  };
}

/** Whether this process may do what a node does: namespaces, mounts and addresses of its own. */
export function canPlayNode(): boolean {
  return process.platform === "linux" && process.getuid?.() === 0;
}
