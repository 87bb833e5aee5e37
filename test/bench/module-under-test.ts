import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bundleForNode } from "../support/replica-bundle";
import { waitFor } from "../support/waiting";
import packageJson from "../../package.json";
import { createCertificates } from "../testbed/certificates";
import { freePort } from "../testbed/ports";
import { cleanEnvironment } from "../testbed/processes";
import { forgetGroup, watchGroup } from "../testbed/watchdog";
import { readMetrics } from "../load/prometheus-text";

/** The secret that deliveries are signed with. */
export const SECRET = "a secret that only MLflow and the module know";

/** The module with Pepr's runtime in a process of its own, as in a pod, with its log in a file that nobody reads along. */
export interface ModuleUnderTest {
  readonly url: string;
  readonly pid: number;
  readonly logFile: string;
  /** Milliseconds from the start of the process until its endpoint answered; Pepr's part comes up later, by itself. */
  readonly readyAfter: number;
  /** Resolves when no version is being worked on any more, second looks included. */
  readonly idle: () => Promise<void>;
  /** Ends it as the kubelet does (SIGTERM). */
  readonly stop: () => Promise<void>;
}

export interface ModuleOptions {
  readonly name: string;
  readonly role: "endpoint" | "watcher";
  readonly kubeconfig: string;
  readonly logDirectory: string;
  /** Settings without their prefix. */
  readonly settings: Readonly<Record<string, string>>;
  /** A folder for a profile of its processor time, written when it ends. */
  readonly profileDirectory?: string | undefined;
}

/** @throws Error when it ends or is not ready within a minute; the message has the last lines of its log */
export async function startModuleUnderTest(options: ModuleOptions): Promise<ModuleUnderTest> {
  const { name, role, kubeconfig, logDirectory, profileDirectory } = options;
  const { bundle, certificate, key } = await prepare(logDirectory);
  const [port, peprPort] = [options.settings.APP_PORT ?? (await freePort()), await freePort()];
  const logFile = path.join(logDirectory, `${name}.log`);
  const url = `http://127.0.0.1:${port}`;
  const log = openSync(logFile, "a");
  const settings = {
    MLFLOW_WEBHOOK_SECRET: SECRET,
    APP_HOST: "127.0.0.1",
    APP_PORT: String(port),
    ...options.settings,
  };
  const profiling =
    profileDirectory === undefined
      ? []
      : ["--cpu-prof", `--cpu-prof-dir=${profileDirectory}`, `--cpu-prof-name=${name}.cpuprofile`];
  const start = performance.now();
  const child = spawn(process.execPath, [...profiling, bundle], {
    detached: true,
    stdio: ["ignore", log, log],
    env: {
      ...cleanEnvironment(),
      KUBECONFIG: kubeconfig,
      PEPR_WATCH_MODE: String(role === "watcher"),
      ...packageJson.pepr.env,
      PEPR_API_PATH: "unused",
      REPLICA_PEPR_PORT: String(peprPort),
      SSL_CERT_PATH: certificate,
      SSL_KEY_PATH: key,
      ...Object.fromEntries(Object.entries(settings).map(([setting, value]) => [`MLFLOW_KSERVE_${setting}`, value])),
    },
  });
  closeSync(log);
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name} could not be started`);
  watchGroup(pid);
  const ended = new Promise<void>(resolve => {
    child.once("exit", () => {
      forgetGroup(pid);
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await ended;
  };

  const giveUpAt = start + 60_000;
  while (!(await answersAtAll(url))) {
    if (child.exitCode === null && child.signalCode === null && performance.now() < giveUpAt) {
      await sleep(2);
      continue;
    }
    await stop();
    throw new Error(`${name} did not answer; its log ends:\n${readFileSync(logFile, "utf8").slice(-2000)}`);
  }
  const readyAfter = performance.now() - start;
  const idle = async (): Promise<void> => {
    await waitFor("the end of all work", async () => {
      return (await readMetrics(url)).value("reconcile_queue_depth") === 0 || undefined;
    });
  };
  return { url, pid, logFile, readyAfter, idle, stop };
}

function answersAtAll(url: string): Promise<boolean> {
  return new Promise(resolve => {
    const request = http.get(`${url}/livez`, { agent: false }, answer => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    request.on("error", () => {
      resolve(false);
    });
  });
}

let prepared: Promise<{ bundle: string; certificate: string; key: string }> | undefined;

/** What all processes share: the bundle, and a certificate for Pepr's own server, which nobody calls here. */
function prepare(directory: string): Promise<{ bundle: string; certificate: string; key: string }> {
  prepared ??= (async () => {
    const [bundle, { server }] = await Promise.all([
      bundleForNode("test/support/replica-main.ts"),
      createCertificates(),
    ]);
    const [certificate, key] = [path.join(directory, "module.crt"), path.join(directory, "module.key")];
    writeFileSync(certificate, server.certificate);
    writeFileSync(key, server.privateKey, { mode: 0o600 });
    return { bundle, certificate, key };
  })();
  return prepared;
}
