import { get as getPlain } from "node:http";
import { get as getSecure } from "node:https";
import type { Certificate } from "./certificates";

/** Waits. The timer keeps the process alive, which children started by the testbed do not. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds));
}

/**
 * Whether a GET of this URL is answered with status 200 within two seconds. Never throws.
 * @param certificateAuthority PEM text of the authority that an https server's certificate must come from
 * @param client the certificate to show, where the server demands one
 */
export function answersOk(url: string, certificateAuthority?: string, client?: Certificate): Promise<boolean> {
  return new Promise(resolve => {
    const shown = client && { cert: client.certificate, key: client.privateKey };
    const options = { agent: false as const, timeout: 2000, ca: certificateAuthority, ...shown };
    const request = (url.startsWith("https:") ? getSecure : getPlain)(url, options, response => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once("timeout", () => request.destroy());
    request.once("error", () => {
      resolve(false);
    });
  });
}
