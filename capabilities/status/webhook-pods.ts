import { lookup } from "node:dns/promises";
import type { LookupAddress } from "node:dns";
import { readFile } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import type { LookupFunction } from "node:net";
import * as z from "zod";
import { readDeliveryMetrics } from "../observability/delivery-counts";
import { messageOf } from "../observability/logging";
import { foreignText } from "../support/foreign-text";
import { sendRequest } from "../support/http-client";
import type { HttpAnswer } from "../support/http-client";
import { inParallel } from "../support/in-parallel";
import type { DeliveryReport } from "./delivery-history";
import { cureFor } from "./webhook-pod-cures";

/** Somebody waits for the page. */
const DEADLINE = 2_000;

/** Bytes of an answer; some ten thousand are usual. */
const MAXIMUM_BODY_SIZE = 1_048_576;

/** Pods that are asked at once. */
const AT_ONCE = 10;

const healthAnswer = z.object({ cause: z.string().optional() });

export interface WebhookPodsOptions {
  /** Where they answer: a name of all their addresses, as a headless Service has it, and the port for operations. */
  readonly url: string;
  /**
   * The certificate that this process serves, for https: the pods have the same, so that it is what is trusted; when undefined,
   * what the system trusts.
   */
  readonly certFile: string | undefined;
  /** Milliseconds for the addresses, and for each answer; 2,000 when left out. */
  readonly deadline?: number;
  /** All addresses of a name; as the system looks them up when left out. */
  readonly addresses?: (host: string) => Promise<readonly LookupAddress[]>;
}

/**
 * A function that asks each pod behind an address how its webhook is and what it has counted. It never rejects: whatever goes
 * wrong is a report with a problem.
 */
export function createWebhookPods(options: WebhookPodsOptions): () => Promise<DeliveryReport[]> {
  const { certFile, deadline = DEADLINE, addresses = lookUp } = options;
  const base = new URL(options.url);
  const host = base.hostname.replace(/^\[|\]$/g, "");

  const get = async (path: string, address: LookupAddress, ca: string | undefined): Promise<HttpAnswer> => {
    // The URL keeps the name, which is what a certificate is for; only the address is given.
    const connection = { keepAlive: false, lookup: always(address) };
    const isHttps = base.protocol === "https:";
    const trust = ca === undefined ? {} : { ca, allowPartialTrustChain: true };
    return await sendRequest({
      url: new URL(path, base),
      method: "GET",
      agent: isHttps ? new https.Agent({ ...connection, ...trust }) : new http.Agent(connection),
      deadline,
      maximumBodySize: MAXIMUM_BODY_SIZE,
    });
  };

  /** Only where it may say something: a pod asks MLflow and the API server before it answers this. */
  const causeOf = async (address: LookupAddress, ca: string | undefined): Promise<string | undefined> => {
    try {
      const { cause } = healthAnswer.parse(JSON.parse((await get("/health", address, ca)).body.toString("utf8")));
      return cause === undefined ? undefined : foreignText(cause);
    } catch {
      return undefined;
    }
  };

  const ask = async (address: LookupAddress, ca: string | undefined): Promise<DeliveryReport> => {
    const name = address.address;
    try {
      const { status, body } = await get("/metrics", address, ca);
      const { mode, startedAt, counts } = readDeliveryMetrics(body.toString("utf8"));
      if (mode === undefined) throw new Error(`GET /metrics is answered ${status}, and not by an mlflow-kserve`);
      const hasCause = mode === "fallback" || mode === "starting";
      return { name, mode, startedAt, counts, cause: hasCause ? await causeOf(address, ca) : undefined };
    } catch (error) {
      return { name, problem: `${foreignText(messageOf(error))}; ${cureFor(error, host)}` };
    }
  };

  return async () => {
    try {
      const [ca, found] = await Promise.all([
        certFile === undefined ? undefined : readFile(certFile, "utf8"),
        within(deadline, addresses(host), `the addresses of ${host} were not found within ${deadline} ms`),
      ]);
      // One address for each pod: where pods have two, one of each family, the first one's.
      const pods = found.filter(({ family }) => family === found[0]?.family);
      return await inParallel(pods, AT_ONCE, address => ask(address, ca));
    } catch (error) {
      return [{ name: host, problem: `${foreignText(messageOf(error))}; ${cureFor(error, host)}` }];
    }
  };
}

function lookUp(host: string): Promise<LookupAddress[]> {
  return lookup(host, { all: true });
}

/** @throws Error when it takes longer */
function within<T>(deadline: number, work: Promise<T>, message: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(message));
    }, deadline);
    void work.then(resolve, reject).finally(() => {
      clearTimeout(timer);
    });
  });
}

function always({ address, family }: LookupAddress): LookupFunction {
  return (_host, { all }, callback) => {
    if (all === true) callback(null, [{ address, family }]);
    else callback(null, address, family);
  };
}
