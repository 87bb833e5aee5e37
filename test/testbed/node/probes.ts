import { request } from "node:http";
import { connect } from "node:net";
import type { Container, Probe } from "./pod";
import { CannotRunError } from "./programs";

/**
 * A function that asks once whether a container is ready, as its readiness probe says; without one it always is.
 * @param address where the container listens
 * @throws CannotRunError for a kind of probe that the node does not have
 */
export function readinessOf({ name, ports = [], readinessProbe }: Container, address: string): () => Promise<boolean> {
  if (readinessProbe === undefined) return () => Promise.resolve(true);
  const { tcpSocket, httpGet, timeoutSeconds = 1 } = readinessProbe;
  const timeout = timeoutSeconds * 1000;
  const number = (port: number | string): number =>
    typeof port === "number" ? port : (ports.find(candidate => candidate.name === port)?.containerPort ?? 0);
  if (tcpSocket) return () => connects(address, number(tcpSocket.port), timeout);
  if (httpGet && (httpGet.scheme ?? "HTTP") === "HTTP") {
    return () => answersWell(address, number(httpGet.port), httpGet.path ?? "/", timeout);
  }
  const what = `The testbed's node has probes by TCP and HTTP only, not that of container ${name}`;
  throw new CannotRunError("CreateContainerConfigError", what);
}

/** Probe after probe, what is known about readiness: it changes with a number of equal answers one after the other. */
export interface Readiness {
  readonly ready: boolean;
  /** Equal answers in a row that speak against `ready`. */
  readonly contrary: number;
}

/** What one more answer of the probe makes of it. */
export function afterProbe({ ready, contrary }: Readiness, answer: boolean, probe: Probe): Readiness {
  if (answer === ready) return { ready, contrary: 0 };
  const needed = ready ? (probe.failureThreshold ?? 3) : (probe.successThreshold ?? 1);
  return contrary + 1 >= needed ? { ready: answer, contrary: 0 } : { ready, contrary: contrary + 1 };
}

function connects(host: string, port: number, timeout: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host, port, timeout });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => {
      end(true);
    });
    socket.once("timeout", () => {
      end(false);
    });
    socket.once("error", () => {
      end(false);
    });
  });
}

function answersWell(host: string, port: number, path: string, timeout: number): Promise<boolean> {
  return new Promise(resolve => {
    const call = request({ host, port, path, timeout, agent: false }, response => {
      response.resume();
      const { statusCode = 0 } = response;
      resolve(statusCode >= 200 && statusCode < 400);
    });
    call.once("timeout", () => call.destroy());
    call.once("error", () => {
      resolve(false);
    });
    call.end();
  });
}
