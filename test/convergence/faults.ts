import { setTimeout as sleep } from "node:timers/promises";
import type { ApiServerFault, ApiServerProxyRequest } from "../support/api-server-proxy";
import type { DeliveryFault } from "../support/delivery-relay";
import type { ForwardedAnswer } from "../support/tampering-proxy";
import { createRandom } from "./random";
import type { Random } from "./random";

/** Between what faults can come. */
export type FaultPlace = "MLflow" | "API server" | "delivery";

/** Decides about each request and delivery whether something goes wrong with it, and counts what did. */
export interface Faults {
  /** Opens a window in which this part of all that comes by goes wrong, and closes it again. */
  open: (place: FaultPlace, probability: number, milliseconds: number) => Promise<void>;
  /** From now on nothing goes wrong until a window is opened. */
  end: () => void;
  /** Counts a fault that somebody else produced. */
  count: (kind: string) => void;
  /** How many faults of each kind there were. */
  readonly counts: ReadonlyMap<string, number>;
  readonly mlflow: (path: string, answer: ForwardedAnswer) => Promise<void>;
  readonly apiServer: (request: ApiServerProxyRequest) => ApiServerFault | undefined;
  readonly delivery: () => DeliveryFault | undefined;
}

export function createFaults(seed: number): Faults {
  const random = createRandom(seed);
  const draws: Record<FaultPlace, Random> = {
    MLflow: random.fork(),
    "API server": random.fork(),
    delivery: random.fork(),
  };
  const open: { place: FaultPlace; probability: number }[] = [];
  const counts = new Map<string, number>();

  const count = (kind: string): void => {
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  };
  const happens = (place: FaultPlace): boolean => {
    const probability = Math.max(0, ...open.filter(window => window.place === place).map(window => window.probability));
    return probability > 0 && draws[place].chance(probability);
  };

  return {
    counts,
    count,
    end() {
      open.length = 0;
    },
    async open(place, probability, milliseconds) {
      const window = { place, probability };
      open.push(window);
      await sleep(milliseconds);
      const at = open.indexOf(window);
      if (at >= 0) open.splice(at, 1);
    },
    async mlflow(path, answer) {
      if (!happens("MLflow")) return;
      const kind = await tamper(path, answer, draws.MLflow);
      count(`MLflow: ${kind}`);
      if (kind === "no answer") throw new Error("The answer never comes");
    },
    apiServer(request) {
      if (!happens("API server")) return undefined;
      const fault = apiServerFault(draws["API server"]);
      const about = fault.kind === "status" ? `${fault.code}` : fault.kind;
      count(`API server: ${about}${request.isWatch ? " (watch)" : ""}`);
      return fault;
    },
    delivery() {
      if (!happens("delivery")) return undefined;
      const fault = deliveryFault(draws.delivery);
      count(`delivery: ${fault.kind}`);
      return fault;
    },
  };
}

const MLFLOW_FAULTS = [
  "500",
  "429",
  "HTML error page",
  "HTML sign-in page",
  "redirect",
  "cut in the middle",
  "truncated JSON",
  "empty object",
  "no answer",
  "slow",
  "half of a page",
  "empty page",
] as const;

/** @returns what was done to the answer */
async function tamper(path: string, answer: ForwardedAnswer, random: Random): Promise<(typeof MLFLOW_FAULTS)[number]> {
  const kind = random.pick(MLFLOW_FAULTS);
  const html = (status: number, title: string): void => {
    Object.assign(answer, { status, contentType: "text/html", body: `<html><h1>${title}</h1></html>` });
  };
  switch (kind) {
    case "500":
      Object.assign(answer, { status: 500, body: JSON.stringify({ error_code: "INTERNAL_ERROR", message: "" }) });
      break;
    case "429":
      Object.assign(answer, { status: 429, body: JSON.stringify({ error_code: "RESOURCE_EXHAUSTED", message: "" }) });
      answer.headers = { "retry-after": "1" };
      break;
    case "HTML error page":
      html(503, "Service Unavailable");
      break;
    case "HTML sign-in page":
      html(200, "Sign in");
      break;
    case "redirect":
      html(302, "Moved");
      answer.headers = { location: "https://sign-in.example.com/" };
      break;
    case "cut in the middle":
      answer.cut = true;
      break;
    case "truncated JSON":
      answer.body = answer.body.slice(0, answer.body.length / 2);
      break;
    case "empty object":
      answer.body = "{}";
      break;
    case "slow":
      await sleep(random.integer(100, 1500));
      break;
    case "half of a page":
      keepVersions(path, answer, versions => versions.slice(0, versions.length / 2));
      break;
    case "empty page":
      keepVersions(path, answer, () => []);
      break;
    case "no answer":
  }
  return kind;
}

/** Takes versions out of a search's answer; another answer stays as it is. */
function keepVersions(path: string, answer: ForwardedAnswer, keep: (versions: unknown[]) => unknown[]): void {
  if (!path.includes("model-versions/search") || answer.status !== 200) return;
  const page = JSON.parse(answer.body) as { model_versions?: unknown[] };
  answer.body = JSON.stringify({ ...page, model_versions: keep(page.model_versions ?? []) });
}

function apiServerFault(random: Random): ApiServerFault {
  return random.weighted<() => ApiServerFault>([
    [2, () => ({ kind: "status", code: 409, reason: "Conflict" })],
    [2, () => ({ kind: "status", code: 429, reason: "TooManyRequests", retryAfter: 1 })],
    [2, () => ({ kind: "status", code: 403, reason: "Forbidden" })],
    [2, () => ({ kind: "status", code: 500, reason: "InternalError" })],
    [2, () => ({ kind: "status", code: 503, reason: "ServiceUnavailable" })],
    [4, () => ({ kind: "delay", milliseconds: random.integer(20, 1000) })],
    [3, () => ({ kind: "cut before" })],
    [5, () => ({ kind: "cut after" })],
    [3, () => ({ kind: "truncated" })],
  ])();
}

function deliveryFault(random: Random): DeliveryFault {
  return random.weighted<() => DeliveryFault>([
    [3, () => ({ kind: "lost" })],
    [2, () => ({ kind: "unavailable" })],
    [3, () => ({ kind: "duplicated" })],
    [4, () => ({ kind: "delayed", milliseconds: random.integer(50, 2000) })],
    [2, () => ({ kind: "answer lost" })],
  ])();
}
