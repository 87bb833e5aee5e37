import { get as getPlain } from "node:http";
import { get as getSecure } from "node:https";

/** Waits. The timer keeps the process alive, which children started by the testbed do not. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds));
}

/**
 * Whether a GET of this URL is answered with status 200 within two seconds. Never throws.
 * @param certificateAuthority PEM text of the authority that an https server's certificate must come from
 */
export function answersOk(url: string, certificateAuthority?: string): Promise<boolean> {
  return new Promise(resolve => {
    const options = { agent: false as const, timeout: 2000, ca: certificateAuthority };
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
