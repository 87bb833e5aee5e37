import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";

/** What connections to an MLflow over HTTPS are made with. */
export interface TlsMaterial {
  /** Certificates to trust (PEM), instead of those that Node trusts. */
  readonly certificates?: string | undefined;
  /** Our own certificate and its key, in one text (PEM), as MLflow's client takes it. */
  readonly clientCertificate?: string | undefined;
  /** MLflow's certificate is not checked. */
  readonly insecure?: boolean | undefined;
}

/** The forward proxy that MLflow is called through. */
export interface MlflowProxy {
  /** With user and password, where it wants them. */
  readonly url: string;
  /** The variable that named it. */
  readonly variable: string;
}

/** How MLflow is called at a certain moment. */
export interface MlflowAccess {
  /** Value of the Authorization header. */
  readonly authorization?: string | undefined;
  /** Whose models they are, where MLflow keeps them apart by workspaces; its default workspace when left out. */
  readonly workspace?: string | undefined;
  readonly tls: TlsMaterial;
  /** Called directly when left out. */
  readonly proxy?: MlflowProxy | undefined;
}

/** How MLflow is called, which may change while the module runs. */
export interface RenewableAccess {
  /** The access of now; the very same object as long as nothing changed. */
  readonly current: () => MlflowAccess;
  /**
   * Looks whether there are other credentials by now, after MLflow refused some with 401.
   *
   * @param refused what they were sent with
   * @returns true when trying again is worth it
   */
  readonly renew: (refused: MlflowAccess) => Promise<boolean>;
  /** Looks for what changed; otherwise done by itself again and again. */
  readonly check: () => Promise<void>;
  readonly stop: () => void;
}

export interface RenewableAccessOptions {
  readonly first: MlflowAccess;
  /** Reads all of it anew. @throws Error when something cannot be used */
  readonly load: () => Promise<MlflowAccess>;
  /** Milliseconds between two readings; files of a Secret take up to a minute to be renewed by the kubelet. */
  readonly interval?: number;
  readonly log: Log;
}

const INTERVAL = 10_000;

/** Milliseconds within which one reading answers all whose credentials were refused. */
const FRESH_FOR = 1_000;

/** An access that never changes. */
export function fixedAccess(access: MlflowAccess): RenewableAccess {
  return {
    current: () => access,
    renew: () => Promise.resolve(false),
    check: () => Promise.resolve(),
    stop: () => undefined,
  };
}

/**
 * Follows credentials and certificates that are replaced while the module runs: a token that is rotated, a renewed
 * certificate authority. What cannot be used is told of once, and the former stays.
 */
export function createRenewableAccess(options: RenewableAccessOptions): RenewableAccess {
  const { load, log, interval = INTERVAL } = options;
  let current = options.first;
  let readAt = performance.now();
  let reading: Promise<void> | undefined;
  let told: string | undefined;

  const read = async (): Promise<void> => {
    try {
      const next = await load();
      told = undefined;
      if (JSON.stringify(next) === JSON.stringify(current)) return;
      current = next;
      log.info({}, "How MLflow is called has changed: credentials or certificates were replaced");
    } catch (error) {
      const cause = messageOf(error);
      if (cause !== told) log.warn({ cause }, "New credentials for MLflow cannot be used, the former ones stay");
      told = cause;
    }
  };

  const check = (): Promise<void> =>
    (reading ??= read().finally(() => {
      readAt = performance.now();
      reading = undefined;
    }));

  const timer = setInterval(() => void check(), interval);
  timer.unref();
  return {
    current: () => current,
    async renew(refused) {
      if (current === refused && performance.now() - readAt >= FRESH_FOR) await check();
      return current !== refused;
    },
    check,
    stop() {
      clearInterval(timer);
    },
  };
}
