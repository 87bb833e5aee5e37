import { randomUUID } from "node:crypto";
import { Agent, request } from "node:http";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { sign } from "../../capabilities/server/webhook/signature";
import { SECRET } from "../support/listener-fixture";

/** What a burst of deliveries was answered. */
export interface Burst {
  /** How many deliveries got which HTTP status; 0 is none. */
  readonly byStatus: ReadonlyMap<number, number>;
  readonly seconds: number;
}

/**
 * Sends deliveries about some versions as fast as they are answered, all those about one version after each other: a loop
 * that sets its tag again and again.
 *
 * @param connections connections to the endpoint, each with one delivery at a time
 */
export async function sendBurst(options: {
  readonly url: string;
  readonly tag: string;
  readonly keys: readonly ModelVersionKey[];
  readonly deliveries: number;
  readonly connections: number;
}): Promise<Burst> {
  const { url, tag, keys, deliveries, connections } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const byStatus = new Map<number, number>();
  const start = performance.now();
  let sent = 0;
  const sendOn = async (): Promise<void> => {
    while (sent < deliveries) {
      const key = keys[Math.floor((sent++ * keys.length) / deliveries)];
      if (key === undefined) throw new Error("There is nothing to deliver");
      const status = await post(`${url}/webhook`, agent, bodyAbout(key, tag));
      byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: connections }, sendOn));
  agent.destroy();
  return { byStatus, seconds: (performance.now() - start) / 1000 };
}

function bodyAbout({ model, version }: ModelVersionKey, tag: string): Buffer {
  const data = { name: model, version, key: tag, value: "true" };
  const event = { entity: "model_version_tag", action: "set", timestamp: new Date().toISOString(), data };
  return Buffer.from(JSON.stringify(event));
}

function post(url: string, agent: Agent, body: Buffer): Promise<number> {
  const deliveryId = randomUUID();
  const timestamp = String(Math.floor(Date.now() / 1000));
  const headers = {
    "content-type": "application/json",
    "content-length": body.length,
    "x-mlflow-delivery-id": deliveryId,
    "x-mlflow-timestamp": timestamp,
    "x-mlflow-signature": sign(SECRET, deliveryId, timestamp, body),
  };
  return new Promise(resolve => {
    const sent = request(url, { method: "POST", agent, headers }, answer => {
      answer.resume().once("close", () => {
        resolve(answer.statusCode ?? 0);
      });
    });
    sent.once("error", () => {
      resolve(0);
    });
    sent.end(body);
  });
}
