import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import packageJson from "../../../package.json";
import type { Attack } from "./attack-main";

/** The endpoint in a process of its own, with the memory of Pepr's. */
export interface FloodedServer {
  readonly port: number;
  /** The most memory that its process has had resident, in MiB. */
  readonly peakMemory: () => Promise<number>;
  readonly stop: () => void;
}

export async function startFloodedServer(): Promise<FloodedServer> {
  const child = start("server-main.ts", packageJson.pepr.env.NODE_OPTIONS.split(" "));
  const ask = async <T>(): Promise<T> => ((await once(child, "message")) as [T])[0];
  const { port } = await ask<{ port: number }>();
  return {
    port,
    async peakMemory() {
      child.send("memory");
      return (await ask<{ peakMebibytes: number }>()).peakMebibytes;
    },
    stop: () => child.kill("SIGKILL"),
  };
}

/** Begins an attack from a process of its own. @returns once each connection was made; the function ends it */
export async function startAttack(attack: Attack): Promise<() => void> {
  const child = start("attack-main.ts", [], JSON.stringify(attack));
  let connected = 0;
  await new Promise<void>(resolve => {
    child.on("message", () => {
      if (++connected === attack.connections) resolve();
    });
  });
  return () => child.kill("SIGKILL");
}

function start(file: string, nodeOptions: readonly string[], ...args: string[]): ChildProcess {
  return fork(`${__dirname}/${file}`, args, { execArgv: [...nodeOptions, "--import", "tsx"] });
}

/** What one client saw. */
export interface Seen {
  /** Milliseconds of each request, the shortest first. */
  readonly times: readonly number[];
  /** Answers other than 200, and errors. */
  readonly failures: readonly string[];
}

/**
 * Asks one request after the other, from another address than the attacks come from, as a kubelet or Prometheus would be.
 *
 * @param keepAlive over one connection; each over its own otherwise
 * @param within milliseconds for each
 */
export async function askTimes(
  count: number,
  { port, path, keepAlive, within }: { port: number; path: string; keepAlive: boolean; within: number },
): Promise<Seen> {
  const agent = new http.Agent({ keepAlive, maxSockets: 1 });
  const [times, failures]: [number[], string[]] = [[], []];
  for (let at = 0; at < count; at++) {
    const begin = performance.now();
    const status = await new Promise<number | string>(resolve => {
      const options = { host: "127.0.0.1", port, path, agent, localAddress: "127.0.0.2", timeout: within };
      const request = http.get(options, answer => {
        answer.resume();
        answer.once("end", () => {
          resolve(answer.statusCode ?? 0);
        });
      });
      request.once("timeout", () => request.destroy(new Error(`no answer within ${within} ms`)));
      request.once("error", ({ message }) => {
        resolve(message);
      });
    });
    times.push(performance.now() - begin);
    if (status !== 200) failures.push(String(status));
    await sleep(5);
  }
  agent.destroy();
  return { times: times.sort((a, b) => a - b), failures };
}

/** @param share from 0 to 1 */
export function quantile({ times }: Seen, share: number): number {
  return times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN;
}
