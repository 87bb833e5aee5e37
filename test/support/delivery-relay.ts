import { randomUUID } from "node:crypto";
import { createServer, request as forward } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { sign } from "../../capabilities/server/webhook/signature";

/** A delivery of MLflow's as it came. */
export interface Delivery {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** What becomes of one delivery on its way. */
export type DeliveryFault =
  /** MLflow is told that it arrived, and nobody hears of it. */
  | { readonly kind: "lost" }
  /** Nobody is there to take it; MLflow tries again. */
  | { readonly kind: "unavailable" }
  /** Every target gets it. */
  | { readonly kind: "duplicated" }
  /** MLflow is told that it arrived; it goes on later, when others have passed it. */
  | { readonly kind: "delayed"; readonly milliseconds: number }
  /** A target took it, but the connection is cut before MLflow hears so, and it tries again. */
  | { readonly kind: "answer lost" };

export interface DeliveryRelay {
  /** Where MLflow delivers to. */
  readonly url: string;
  /** Decides about each delivery that MLflow makes. */
  fault: (delivery: Delivery) => DeliveryFault | undefined;
  /** All that MLflow delivered, MLflow's own tests included. */
  readonly received: readonly Delivery[];
  /** How often each status was answered to what was passed on; 0 is no answer. */
  readonly statuses: ReadonlyMap<number, number>;
  /**
   * Sends a delivery as if MLflow did, signed with a time this many seconds ago, to a target.
   *
   * @returns the status that it was answered with, 0 for none
   */
  send: (body: Buffer, age?: number) => Promise<number>;
  /** Resolves when no delivery is on its way any more, delayed ones included. */
  idle: () => Promise<void>;
  close: () => void;
}

export interface DeliveryRelayOptions {
  /** Base URLs of the endpoints, those first that are ready; asked anew for each delivery, as a Service does. */
  readonly targets: () => readonly string[];
  readonly secret: string;
}

/**
 * Stands between MLflow and the module's endpoints as a Kubernetes Service does, spreads deliveries over them in turn,
 * and loses, repeats or holds up some.
 */
export async function startDeliveryRelay({ targets, secret }: DeliveryRelayOptions): Promise<DeliveryRelay> {
  const received: Delivery[] = [];
  const statuses = new Map<number, number>();
  const underWay = new Set<Promise<unknown>>();
  let turn = 0;

  const pass = async (target: string | undefined, delivery: Delivery): Promise<Answer> => {
    const answer = target === undefined ? NO_ANSWER : await post(`${target}/webhook`, delivery).catch(() => NO_ANSWER);
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    return answer;
  };
  const passToNext = async (delivery: Delivery): Promise<Answer> => {
    const all = targets();
    return await pass(all[turn++ % Math.max(1, all.length)], delivery);
  };

  const take = async (delivery: Delivery, outgoing: ServerResponse): Promise<void> => {
    const fault = relay.fault(delivery);
    switch (fault?.kind) {
      case "lost":
        outgoing.writeHead(200).end();
        return;
      case "unavailable":
        outgoing.writeHead(503).end();
        return;
      case "delayed":
        outgoing.writeHead(200).end();
        await sleep(fault.milliseconds);
        await passToNext(delivery);
        return;
      case "answer lost":
        await passToNext(delivery);
        outgoing.destroy();
        return;
      case "duplicated": {
        const answers = await Promise.all(targets().map(target => pass(target, delivery)));
        giveBack(answers[0] ?? NO_ANSWER, outgoing);
        return;
      }
      case undefined:
        giveBack(await passToNext(delivery), outgoing);
    }
  };

  const track = async <T>(work: Promise<T>): Promise<T> => {
    underWay.add(work);
    try {
      return await work;
    } finally {
      underWay.delete(work);
    }
  };

  const handle = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const theirs = Object.entries(incoming.headers).filter(
      ([name, value]) => typeof value === "string" && (name.startsWith("x-mlflow-") || name === "content-type"),
    );
    const delivery = { headers: Object.fromEntries(theirs) as Record<string, string>, body: Buffer.concat(chunks) };
    received.push(delivery);
    await take(delivery, outgoing);
  };

  const server = createServer((incoming, outgoing) => {
    track(handle(incoming, outgoing)).catch(() => outgoing.destroy());
  });
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));

  const relay: DeliveryRelay = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhook`,
    fault: () => undefined,
    received,
    statuses,
    async send(body, age = 0) {
      const [id, timestamp] = [randomUUID(), String(Math.floor(Date.now() / 1000) - age)];
      const headers = {
        "content-type": "application/json",
        "x-mlflow-delivery-id": id,
        "x-mlflow-timestamp": timestamp,
        "x-mlflow-signature": sign(secret, id, timestamp, body),
      };
      return (await track(passToNext({ headers, body }))).status;
    },
    async idle() {
      while (underWay.size > 0) await Promise.allSettled(underWay);
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
  return relay;
}

/** An answer of an endpoint; MLflow's test of a webhook shows it to whoever asked for the test. */
interface Answer {
  /** 0 when there was none. */
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

const NO_ANSWER: Answer = { status: 0, contentType: "text/plain", body: Buffer.alloc(0) };

/** Without an endpoint that answers a Service's proxy says 503 or nothing; MLflow tries again after both. */
function giveBack({ status, contentType, body }: Answer, outgoing: ServerResponse): void {
  outgoing.writeHead(status || 503, { "content-type": contentType }).end(body);
}

function post(url: string, { headers, body }: Delivery): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { method: "POST", headers: { ...headers, "content-length": body.length }, agent: false };
    const outgoing = forward(url, options, answer => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () => {
        const contentType = answer.headers["content-type"] ?? NO_ANSWER.contentType;
        resolve({ status: answer.statusCode ?? 0, contentType, body: Buffer.concat(chunks) });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
