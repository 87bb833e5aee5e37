import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { connect } from "node:net";
import { inject } from "vitest";
import type { Certificate } from "../testbed/certificates";
import { freePort } from "../testbed/ports";
import { Run } from "../testbed/run";

/** A forward proxy that is up: PyPI's proxy.py. */
export interface ForwardProxy {
  /** With user and password. */
  readonly url: string;
  /** What it let through and refused, a line for each request, as it logged it. */
  readonly requests: () => string[];
  readonly stop: () => Promise<void>;
}

export const PROXY_PASSWORD = "a%20secret:of the proxy";

/** Starts it on loopback, for callers with a user and password. @param certificate to be spoken with over TLS */
export async function startForwardProxy(certificate?: Certificate): Promise<ForwardProxy> {
  const run = new Run(() => undefined, inject("logDirectory"));
  const port = await freePort();
  const file = (name: string, text: string): string => {
    writeFileSync(path.join(run.directory, name), text, { mode: 0o600 });
    return path.join(run.directory, name);
  };
  const secure =
    certificate === undefined
      ? []
      : [
          ...["--cert-file", file("proxy.crt", certificate.certificate)],
          ...["--key-file", file("proxy.key", certificate.privateKey)],
        ];
  const logName = `forward-proxy-${port}`;
  await run.start({
    name: "forward-proxy",
    command: inject("python"),
    arguments: [
      ...["-m", "proxy", "--hostname", "127.0.0.1", "--port", String(port), "--basic-auth", `user:${PROXY_PASSWORD}`],
      ...["--num-workers", "1", "--num-acceptors", "1", "--data-dir", run.directory, ...secure],
    ],
    directory: run.directory,
    logName,
    isReady: () => accepts(port),
    readyWithinSeconds: 60,
  });
  const url = new URL(`${certificate === undefined ? "http" : "https"}://user@127.0.0.1:${port}`);
  url.password = encodeURIComponent(PROXY_PASSWORD);
  return {
    url: url.href,
    requests: () => {
      const lines = readFileSync(path.join(inject("logDirectory"), `${logName}.log`), "utf8").split("\n");
      return lines.filter(line => / (CONNECT|GET|POST|PATCH|DELETE) /.test(line));
    },
    stop: () => run.stop(),
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => {
      resolve(false);
    });
  });
}
