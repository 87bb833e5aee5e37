import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";
import { withoutCredentials } from "../configuration/settings";
import { MlflowError } from "./errors";
import { adviceFor } from "./registration-advice";
import type { RegistrationFailure } from "./registration-advice";
import type { MlflowTransport } from "./transport";
import { insisting, isUnreadable, proveDeliveries } from "./webhook-proof";
import type { Tally } from "./webhook-proof";
import { changesOf, registerWebhook, removeWebhook, webhooksOf } from "./webhook-registration";

/** How often a call is repeated for MLflow's process that has the right key; with four, one in a hundred misses it. */
const TRIES = 16;

/** Test deliveries after a registration: `mlflow server` runs four processes unless told otherwise. */
const FULL_PROOF = 8;

/** Test deliveries of a later check. */
const SHORT_PROOF = 2;

/** A webhook that cannot work is made and removed at each attempt, which leaves a row in MLflow's database. */
const RARELY = 5;

/** Calls at the same time that try to reach the one process which can delete a webhook. */
const REMOVERS = 8;

/** Milliseconds between two looks whether the secret was changed. */
const TICK = 1000;

export interface WebhookState {
  /** `webhook`: deliveries arrive, as far as MLflow's own test shows. Otherwise polling has to do the work. */
  readonly mode: "starting" | "webhook" | "fallback";
  /** Why it is not `webhook`, and what to do about it; one sentence. */
  readonly cause?: string;
  /** When deliveries were last seen to arrive. */
  readonly provenAt?: Date;
}

export interface WebhookKeeper {
  readonly state: () => WebhookState;
  /** Ends all loops and timers; the webhook stays in MLflow. Never rejects. */
  readonly stop: () => Promise<void>;
}

export interface WebhookKeeperOptions {
  /** A test delivery may take MLflow a while; calls over fresh connections reach all of MLflow's processes. */
  readonly transport: MlflowTransport;
  /** Name of the webhook in MLflow. */
  readonly name: string;
  /** Where MLflow reaches our endpoint. */
  readonly url: string;
  /** The secret that MLflow is to sign with; a new one is given to MLflow within a second. */
  readonly secret: () => string;
  /** Seconds that an attempt may take until deliveries were proven or polling was announced to carry the work. */
  readonly startupTimeout: number;
  /** Attempts after the first that may fail before polling is announced to carry the work. */
  readonly startupRetries: number;
  /** Seconds between two checks, and at the most between two attempts; 60 when left out. */
  readonly checkInterval?: number;
  readonly log: Log;
  /** Told of each change of mode or cause. */
  readonly onState?: (state: WebhookState) => void;
}

/**
 * Keeps MLflow's webhook registered and proven, in the background, from now until it is stopped: registers it, has
 * MLflow make test deliveries, restores what others change on it, and names cause and cure while it does not work.
 */
export function createWebhookKeeper(options: WebhookKeeperOptions): WebhookKeeper {
  const { name, url, secret, log, onState } = options;
  const about = { name, url: withoutCredentials(url) };
  const fields = { webhook: name, url: about.url };
  const interval = (options.checkInterval ?? 60) * 1000;
  const stopping = new AbortController();
  const { signal } = stopping;
  const allCalls = stoppable(options.transport, signal, new Error("stopped"));

  const isStopped = (): boolean => signal.aborted;

  let state: WebhookState = { mode: "starting" };
  /** What MLflow holds as far as we know; undefined when it has to be registered anew. */
  let registered: { readonly id: string; readonly secret: string } | undefined;

  /** An attempt tells when the secret cannot be read; here that must end nothing. */
  const currentSecret = (): string => {
    try {
      return secret();
    } catch {
      return registered?.secret ?? "";
    }
  };

  const become = (next: WebhookState): void => {
    const changed = next.mode !== state.mode || next.cause !== state.cause;
    state = next;
    if (!changed) return;
    try {
      onState?.(next);
    } catch (error) {
      log.error({ ...fields, cause: messageOf(error) }, "The change of the webhook's state could not be told");
    }
  };

  const fallBack = (cause: string, message: string): void => {
    become({ ...state, mode: "fallback", cause });
    log.warn({ ...fields, cause }, message);
    log.info(fields, "Polling service started as fallback");
  };

  /** At the start an attempt ends when its time is over; later MLflow's own pace counts, and the deadline of each call. */
  const transportOfAttempt = (): MlflowTransport => {
    if (state.mode !== "starting") return allCalls;
    const message = `MLflow did not end the attempt within ${options.startupTimeout} s: check that it runs and that it reaches ${about.url}`;
    const tooSlow = new MlflowError("unreachable", message, undefined, { facts: { timedOut: true } });
    return stoppable(allCalls, AbortSignal.timeout(options.startupTimeout * 1000), tooSlow);
  };

  /** Looks at the webhook, registers it where needed, and proves it. Never rejects. */
  const attempt = async (): Promise<RegistrationFailure | undefined> => {
    const transport = transportOfAttempt();
    const tally: Tally = { readable: 0, unreadable: 0 };
    const insistent = insisting(transport, tally, TRIES);
    let failure: RegistrationFailure | undefined;
    let step: "registration" | "test" = "registration";
    try {
      const newest = secret();
      const changes =
        registered === undefined ? [] : changesOf(await webhooksOf(insistent, { name, url }), registered.id, url);
      if (changes.length > 0) {
        const cure = "if another installation has the same name, set MLFLOW_KSERVE_MLFLOW_WEBHOOK_NAME";
        log.warn({ ...fields, changes, cure }, "Webhook was changed in MLflow, restoring it");
      }
      let calls = SHORT_PROOF;
      if (registered?.secret !== newest || changes.length > 0) {
        const { id, action } = await registerWebhook(insistent, { name, url, secret: newest }, made => {
          registered = { id: made, secret: newest };
        });
        registered = { id, secret: newest };
        log.info({ ...fields, action }, "Webhook registered in MLflow");
        calls = FULL_PROOF;
      }
      step = "test";
      const { id } = registered;
      if (tally.unreadable === 0) failure = await proveDeliveries(transport, { name, url, id }, calls, tally);
    } catch (error) {
      // What cannot be read is in the tally.
      if (!isUnreadable(error)) failure = { kind: "call", step, error };
    }
    if (tally.unreadable > 0) {
      failure = { kind: "keys", ...tally };
      // Where no process can read it, none could delete it, and it works again once MLflow has its former key.
      if (tally.readable > 0) await withdraw();
    }
    if (failure) registered = undefined;
    return failure;
  };

  /**
   * Deletes the webhook that only some of MLflow's processes can read, while one of them lives: it stops the deliveries
   * of every webhook, and after a restart nothing in MLflow's API could remove it any more.
   */
  const withdraw = async (): Promise<void> => {
    if (registered === undefined) return;
    const { id } = registered;
    const remove = (): Promise<void> => removeWebhook(insisting(allCalls, { readable: 0, unreadable: 0 }, TRIES), id);
    try {
      // Side by side: calls one after the other may all be taken by the same idle process of MLflow's.
      await Promise.any(Array.from({ length: REMOVERS }, remove));
      log.info(fields, "Webhook that MLflow cannot read was removed again");
    } catch (error) {
      log.debug({ ...fields, cause: messageOf(error) }, "Webhook that MLflow cannot read could not be removed");
    }
  };

  const succeed = (): void => {
    const { mode } = state;
    become({ mode: "webhook", provenAt: new Date() });
    if (mode !== "webhook") log.info({ ...fields, recovered: mode === "fallback" }, "Webhook registered and proven");
  };

  const fail = (failure: RegistrationFailure): void => {
    const cause = withoutSecret(adviceFor(failure, about), currentSecret());
    const { mode } = state;
    if (mode === "webhook") {
      fallBack(cause, "Webhook does not work any more - falling back to polling mode");
    } else if (cause === state.cause) {
      log.debug({ ...fields, cause }, "Webhook is still not proven");
    } else {
      become({ ...state, cause });
      log.warn({ ...fields, cause }, "Webhook is not proven, trying again");
    }
  };

  /** Waits, but not when the secret was changed since MLflow got it. */
  const pause = async (milliseconds: number): Promise<void> => {
    const end = performance.now() + milliseconds;
    for (let left = milliseconds; left > 0 && !isStopped(); left = end - performance.now()) {
      await sleep(Math.min(left, TICK), undefined, { signal }).catch(() => undefined);
      if (registered !== undefined && registered.secret !== currentSecret()) return;
    }
  };

  const keep = async (): Promise<void> => {
    let failures = 0;
    while (!isStopped()) {
      const failure = await attempt();
      if (isStopped()) return;
      if (failure === undefined) {
        failures = 0;
        succeed();
        await pause(interval);
      } else {
        fail(failure);
        if (state.mode === "starting" && failures >= options.startupRetries) {
          fallBack(state.cause ?? "", "Webhook registration failed - falling back to polling mode");
        }
        const most = failure.kind === "keys" && failure.readable > 0 ? RARELY * interval : interval;
        // Jitter, so that replicas which failed together do not come back together.
        await pause(Math.min(most, 1000 * 2 ** failures++) * (0.75 + Math.random() / 4));
      }
    }
  };

  const kept = keep().catch((error: unknown) => {
    // Nothing above throws by design; if it does all the same, the process must live on and polling does the work.
    fallBack(`the webhook is not looked after any more (${messageOf(error)}): restart the pod`, "Webhook keeper ended");
  });

  return {
    state: () => state,
    async stop() {
      stopping.abort();
      await kept;
    },
  };
}

/** Rejects calls under way when the signal comes, with the reason: nobody waits for their answers then. */
function stoppable(transport: MlflowTransport, signal: AbortSignal, reason: Error): MlflowTransport {
  return call =>
    new Promise((resolve, reject) => {
      const stop = (): void => {
        reject(reason);
      };
      if (signal.aborted) {
        stop();
        return;
      }
      signal.addEventListener("abort", stop, { once: true });
      void transport(call)
        .then(resolve, reject)
        .finally(() => {
          signal.removeEventListener("abort", stop);
        });
    });
}

function withoutSecret(text: string, secret: string): string {
  return secret === "" ? text : text.replaceAll(secret, "***");
}
