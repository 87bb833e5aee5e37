import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { Log } from "../observability/logging";
import { messageOf } from "../observability/logging";

/** Milliseconds between two looks at the files. Watching them would miss that Kubernetes swaps a symbolic link. */
const INTERVAL = 5_000;

/** A certificate (its chain after it) and its private key, both PEM text. */
export interface TlsPair {
  readonly cert: string;
  readonly key: string;
}

/** A pair of files that was usable when it was read first. */
export interface TlsFiles {
  readonly pair: TlsPair;
  /** Hands over each usable pair that the files become, until the returned function is called. Several may watch. */
  watch: (renewed: (pair: TlsPair) => void) => () => void;
}

export interface TlsOptions {
  readonly certFile: string;
  readonly keyFile: string;
  readonly log: Log;
  /** Milliseconds between two looks at the files. */
  readonly interval?: number;
}

/** The pair cannot be used. The message names file, cause and cure, and nothing of the key. */
export class TlsError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "TlsError";
  }
}

/**
 * Reads the pair, and reads it again as long as it is watched. A pair that cannot be used, or is half written, is logged
 * once and the last usable one stays. An expired certificate is served and warned about: whether it matters is the
 * client's decision.
 *
 * @throws TlsError when the files cannot be used at the start
 */
export function createTlsOptions(options: TlsOptions): TlsFiles {
  const { certFile, keyFile, log, interval = INTERVAL } = options;
  const read = (file: string): string => {
    try {
      return readFileSync(file, "utf8");
    } catch (error) {
      throw unreadable(file, error);
    }
  };
  const pair = { cert: read(certFile), key: read(keyFile) };
  let served = check(pair, options);
  warnOfDates(served, certFile, log);
  let current: TlsPair = pair;
  let refused = "";

  const watchers = new Set<(pair: TlsPair) => void>();
  let stop = (): void => undefined;

  const look = async (): Promise<void> => {
    try {
      const found = await readPair(options);
      if (found.cert === current.cert && found.key === current.key) {
        refused = "";
        return;
      }
      const certificate = check(found, options);
      for (const renewed of watchers) renewed(found);
      current = found;
      served = certificate;
      refused = "";
      log.info({ file: certFile, valid_to: served.validTo, subject: served.subject }, "Renewed certificate taken up");
      warnOfDates(served, certFile, log);
    } catch (error) {
      const cause = messageOf(error);
      if (cause !== refused) log.error({ cause }, "The renewed certificate cannot be used, the old one stays");
      refused = cause;
    }
  };

  const lookNowAndThen = (): (() => void) => {
    let looking = false;
    let expired = isExpired(served);
    const timer = setInterval(() => {
      if (looking) return;
      looking = true;
      void look().finally(() => {
        looking = false;
        if (!expired && isExpired(served)) warnOfDates(served, certFile, log);
        expired = isExpired(served);
      });
    }, interval);
    // Nothing ends later because of it.
    timer.unref();
    return () => {
      clearInterval(timer);
    };
  };

  return {
    pair,
    watch(renewed) {
      if (watchers.size === 0) stop = lookNowAndThen();
      watchers.add(renewed);
      return () => {
        watchers.delete(renewed);
        if (watchers.size === 0) stop();
      };
    },
  };
}

async function readPair({ certFile, keyFile }: TlsOptions): Promise<TlsPair> {
  const read = (file: string): Promise<string> =>
    readFile(file, "utf8").catch((error: unknown) => {
      throw unreadable(file, error);
    });
  const [cert, key] = await Promise.all([read(certFile), read(keyFile)]);
  return { cert, key };
}

/** @returns the server's own certificate @throws TlsError */
function check({ cert, key }: TlsPair, { certFile, keyFile }: TlsOptions): X509Certificate {
  const certificate = attempt(
    () => new X509Certificate(cert),
    `${certFile} holds no certificate in PEM form; give the server's certificate, then those of its issuers`,
  );
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(key))
    throw new TlsError(`${keyFile} is encrypted with a passphrase; give it without one (openssl pkey -in … -out …)`);
  const privateKey = attempt(
    () => createPrivateKey(key),
    `${keyFile} holds no private key in PEM form; give the key of the certificate`,
  );
  if (!certificate.checkPrivateKey(privateKey))
    throw new TlsError(`The key in ${keyFile} does not match the certificate in ${certFile}; give both of one pair`);
  // What OpenSSL finds only when it would serve: a broken chain, a key that is too weak.
  attempt(
    () => createSecureContext({ cert, key }),
    `${certFile} and ${keyFile} cannot be served; check the chain and the strength of the key`,
  );
  return certificate;
}

function attempt<T>(act: () => T, problem: string): T {
  try {
    return act();
  } catch (error) {
    // OpenSSL names what it stumbled over ("no start line"), never what was in the file.
    throw new TlsError(`${problem} (${messageOf(error)})`, { cause: error });
  }
}

function unreadable(file: string, error: unknown): TlsError {
  const code = error instanceof Error && "code" in error ? String(error.code) : messageOf(error);
  return new TlsError(`${file} cannot be read (${code}); check the path, that it is mounted, and its permissions`, {
    cause: error,
  });
}

function isExpired(certificate: X509Certificate): boolean {
  return Date.parse(certificate.validTo) < Date.now();
}

function warnOfDates(certificate: X509Certificate, file: string, log: Log): void {
  const { validFrom, validTo } = certificate;
  if (isExpired(certificate))
    log.warn({ file, valid_to: validTo }, "The certificate has expired, clients will refuse it; renew it");
  else if (Date.parse(validFrom) > Date.now())
    log.warn(
      { file, valid_from: validFrom },
      "The certificate is not valid yet, clients will refuse it; check the clock",
    );
}
