import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { get } from "node:https";
import { TLSSocket } from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";
import { Log as peprLog } from "pepr";
import type { Capability } from "pepr";
import { createPeprCapability, isBuild } from "./pepr-capability";
import { messageOf } from "./observability/logging";
import { withoutSecrets } from "./support/foreign-text";
import { exitAfter, finishBeforeExit } from "./support/termination";

/** The port of Pepr's own server, which its Deployments name. */
const PEPR_PORT = 3000;

/**
 * Milliseconds that Pepr's part may take until it answers. It waits up to three seconds before it reads its store, and the
 * API server may be slow to answer.
 */
const UP_WITHIN = 60_000;

/** Milliseconds between two looks whether Pepr's part is up, and for each of them. */
const LOOK_EVERY = 250;
const LOOK_DEADLINE = 2_000;

export interface RuntimeOptions {
  readonly port?: number;
  readonly upWithin?: number;
}

/**
 * Runs the module: starts our part, then Pepr's, and tells the readiness probe when both are up.
 *
 * Ends the process (exit code 1) with a fatal log line that says why, whatever goes wrong on the way: a module that cannot
 * work must not look as if it could. Pepr itself does not end where it cannot listen on its port or read its store, and then
 * neither watches nor answers admission requests.
 *
 * @param startPepr makes the `PeprModule`, and starts it
 */
export async function runModule(
  startPepr: (capability: Capability) => void,
  { port = PEPR_PORT, upWithin = UP_WITHIN }: RuntimeOptions = {},
): Promise<void> {
  let stop = (): Promise<void> => Promise.resolve();
  try {
    const made = await createPeprCapability();
    stop = made.stop;
    startPepr(made.capability);
    finishBeforeExit(stop);
    if (isBuild) return;
    await waitForPepr(port, upWithin);
    made.peprIsUp();
  } catch (error) {
    peprLog.fatal(`mlflow-kserve cannot start: ${withoutSecrets(messageOf(error))}`);
    await exitAfter(stop, 1);
  }
}

/** @throws Error when Pepr's server has not answered that it is well within the time */
async function waitForPepr(port: number, within: number): Promise<void> {
  const certificate = new X509Certificate(readFileSync(process.env.SSL_CERT_PATH ?? "/etc/certs/tls.crt"));
  const giveUpAt = performance.now() + within;
  for (;;) {
    const problem = await problemOfPepr(port, certificate);
    if (problem === undefined) return;
    if (performance.now() > giveUpAt) {
      throw new Error(
        `Pepr's part of the module is not up after ${within / 1000} s: ${problem}; what Pepr logged before this line says more`,
      );
    }
    await sleep(LOOK_EVERY);
  }
}

/** What keeps Pepr's server from answering as it does once it has read its store; undefined when it answers so. */
function problemOfPepr(port: number, certificate: X509Certificate): Promise<string | undefined> {
  return new Promise(resolve => {
    // The certificate is for the Service's name; that it is ours is seen below.
    const target = { host: "127.0.0.1", port, path: "/healthz", agent: false, rejectUnauthorized: false };
    const request = get({ ...target, timeout: LOOK_DEADLINE }, answer => {
      answer.resume();
      const { socket, statusCode } = answer;
      const theirs = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
      if (theirs?.fingerprint256 !== certificate.fingerprint256)
        resolve(`another process has its port ${port}; free it`);
      else if (statusCode === 200) resolve(undefined);
      else
        resolve(
          `it has not read its store (${String(statusCode)} on /healthz); check that the API server can be reached, and that ` +
            "the module's ServiceAccount may read and create peprstores in pepr-system",
        );
    });
    request.once("timeout", () => request.destroy(new Error(`no answer within ${LOOK_DEADLINE / 1000} s`)));
    request.once("error", error => {
      resolve(`its port ${port} cannot be used (${error.message}); check that no other process has it`);
    });
  });
}
