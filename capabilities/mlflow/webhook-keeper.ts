import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";
import { withoutCredentials } from "../configuration/settings";
import { MlflowError } from "./errors";
import { adviceFor } from "./registration-advice";
import type { RegistrationFailure } from "./registration-advice";
import { stoppable } from "./stoppable-transport";
import type { MlflowTransport } from "./transport";
import { insisting, isUnreadable, isWrongSecret, proveDeliveries } from "./webhook-proof";
import type { Tally } from "./webhook-proof";
import { changesOf, ownOf } from "./webhook-ownership";
import { createPropagation } from "./webhook-propagation";
import { listWebhooks, registerWebhook, removeWebhook } from "./webhook-registration";
import type { Registered } from "./webhook-registration";
import type { WebhookState } from "./webhook-state";
import { createStrangerTeller } from "./webhook-strangers";

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

/** Milliseconds until what was lost is looked for again, when that failed. */
const CATCH_UP_PAUSE = 5_000;

/** Milliseconds between two looks whether the secret was changed. */
const TICK = 1000;

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
  /** Tells our webhook from those of other installations: see {@link WebhookIdentity}. */
  readonly installation: string;
  /** Where MLflow reaches our endpoint. */
  readonly url: string;
  /** The secret that MLflow is to sign with; a new one is given to MLflow within a second. */
  readonly secret: () => string;
  /** Seconds that an attempt may take until deliveries were proven or polling was announced to carry the work. */
  readonly startupTimeout: number;
  /** Attempts after the first that may fail before polling is announced to carry the work. */
  readonly startupRetries: number;
  /** Seconds for which each process of MLflow's keeps its list of webhooks. */
  readonly cacheLifetime: number;
  /** Makes up for events that were lost while the webhook was propagating; resolves to false when that failed. */
  readonly catchUp?: () => Promise<boolean>;
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
  const { name, url, installation, secret, log, onState } = options;
  const identity = { name, url, installation };
  const about = { name, url: withoutCredentials(url) };
  const fields = { webhook: name, url: about.url };
  const interval = (options.checkInterval ?? 60) * 1000;
  const stopping = new AbortController();
  const { signal } = stopping;
  const allCalls = stoppable(options.transport, signal, new Error("stopped"));

  const propagation = createPropagation(options.cacheLifetime * 1000);
  const isStopped = (): boolean => signal.aborted;

  let state: WebhookState = { mode: "starting" };
  /** What MLflow holds as far as we know; undefined when it has to be registered anew. */
  let registered: { readonly id: string; readonly secret: string } | undefined;

  /** Whether the last attempt failed, for which the secret that MLflow has may be the reason. */
  let isDoubtful = false;
  /** Whether deliveries were given up since they last worked. */
  let fellBack = false;
  const tellStrangers = createStrangerTeller(url, fields, log);

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
    fellBack = true;
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

  const check = async (insistent: MlflowTransport, id: string): Promise<string[]> => {
    const own = ownOf(await listWebhooks(insistent), identity);
    const changes = changesOf(own, id, identity);
    if (changes.length > 0) log.warn({ ...fields, changes }, "Webhook was changed in MLflow, restoring it");
    else propagation.seen(own[0]?.last_updated_timestamp ?? 0);
    return changes;
  };

  const register = async (insistent: MlflowTransport, newest: string, renewSecret: boolean): Promise<Registered> => {
    const result = await registerWebhook(
      insistent,
      { ...identity, secret: newest },
      {
        renewSecret,
        onCreated(id) {
          registered = { id, secret: newest };
        },
      },
    );
    registered = { id: result.id, secret: newest };
    if (result.action === "unchanged") propagation.seen(result.changedAt);
    else propagation.changed();
    tellStrangers(result.strangers);
    log.info({ ...fields, installation, action: result.action }, "Webhook registered in MLflow");
    return result;
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
      const changes = registered === undefined ? [] : await check(insistent, registered.id);
      let calls = SHORT_PROOF;
      let fresh: Registered | undefined;
      if (registered?.secret !== newest || changes.length > 0) {
        // One that is as it should be is proven as it is: a change would have to reach all of MLflow's processes.
        const renewSecret = registered !== undefined || isDoubtful;
        fresh = await register(insistent, newest, renewSecret);
        calls = FULL_PROOF;
      }
      step = "test";
      const prove = async (): Promise<RegistrationFailure | undefined> =>
        registered !== undefined && tally.unreadable === 0
          ? await proveDeliveries(transport, registered.id, calls, tally)
          : undefined;
      failure = await prove();
      if (fresh?.action === "unchanged" && isWrongSecret(failure)) {
        await register(insistent, newest, true);
        failure = await prove();
      }
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
    isDoubtful = failure !== undefined;
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

  /** @returns milliseconds until the next look */
  const succeed = async (): Promise<number> => {
    const provenAt = new Date();
    const { mode } = state;
    const left = propagation.left();
    if (left > 0) {
      const cause = `each process of MLflow takes up a new or changed webhook within ${options.cacheLifetime} s: what is tagged until then takes effect by a poll`;
      become({ mode: "propagating", cause, provenAt });
      if (mode !== "propagating") log.info({ ...fields, cause }, "Webhook is proven, waiting for MLflow's processes");
      return Math.min(left, interval);
    }
    if (propagation.isUnsettled()) {
      const caughtUp = await (options.catchUp?.() ?? Promise.resolve(true));
      // What failed was logged; the mode stays, and with it the work of the poll.
      if (!caughtUp) return Math.min(CATCH_UP_PAUSE, interval);
      propagation.settled();
      if (isStopped()) return 0;
    }
    become({ mode: "webhook", provenAt });
    if (mode !== "webhook") log.info({ ...fields, recovered: fellBack }, "Webhook registered and proven");
    fellBack = false;
    return interval;
  };

  const fail = (failure: RegistrationFailure): void => {
    const cause = withoutSecret(adviceFor(failure, about), currentSecret());
    const { mode } = state;
    if (mode === "webhook" || mode === "propagating") {
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
        await pause(await succeed());
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

function withoutSecret(text: string, secret: string): string {
  return secret === "" ? text : text.replaceAll(secret, "***");
}
