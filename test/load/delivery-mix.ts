import { randomUUID } from "node:crypto";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { sign } from "../../capabilities/server/webhook/signature";
import { HOSTILE_TEXTS } from "../arbitraries";

/** One thing that is sent to /webhook. */
export type Sending =
  /** A whole request, which must be answered with one of these statuses. `copies` of it are sent at once. */
  | {
      readonly form: "request";
      readonly body: Buffer;
      readonly headers: Readonly<Record<string, string>>;
      readonly statuses: readonly number[];
      readonly copies: number;
    }
  /** The beginning of a request, after which the client cuts the connection. */
  | { readonly form: "cut"; readonly beginning: string }
  /** The beginning of a request, after which the client says nothing more and waits for the server to lose patience. */
  | { readonly form: "silent"; readonly beginning: string };

export type SendingKind = keyof typeof SHARES;

/**
 * Per mille of each kind. A tenth reaches MLflow, which answers some 100 to 200 requests a second and is asked twice by a
 * reconcile; the rest is what the module itself has to bear, and it bears that much faster.
 */
export const SHARES = {
  "deploy tag of one of the versions": 50,
  "the same delivery three times at once": 10,
  "version that does not exist": 15,
  "model with a hostile name, never the same": 15,
  "another tag": 250,
  "another event, with ever new entities and actions": 100,
  "wrong signature": 240,
  "right signature, too old or from the future": 85,
  "signed, but no event": 100,
  "not what MLflow sends (headers, encoding, size)": 85,
  "cut in the middle": 45,
  "silent after its beginning": 5,
} as const;

/** What deliveries are about and how they are signed. */
export interface MixOptions {
  readonly secret: string;
  readonly deployTagKey: string;
  /** Versions that exist. */
  readonly versions: readonly ModelVersionKey[];
  readonly random: () => number;
}

/** What a correct delivery is answered: 502 where MLflow did not answer us in time, after which it delivers again. */
const REACHED_MLFLOW = [200, 502];

const KINDS = Object.keys(SHARES) as SendingKind[];
const TOTAL = KINDS.reduce((sum, kind) => sum + SHARES[kind], 0);

/** Bodies with a correct signature that are no events: broken, of another form, deeply nested, not UTF-8. */
const NO_EVENTS: readonly Buffer[] = [
  ...["", "{", "null", "[]", '"text"', "{}", '{"entity":1}', '{"__proto__":{"entity":"model_version_tag"}}'],
  ...["[".repeat(50_000), '{"a":'.repeat(20_000), `"${"x".repeat(200_000)}"`, "\ufeff{}", "NaN"],
]
  .map(text => Buffer.from(text))
  .concat(Buffer.from([0xff, 0xfe, 0x7b, 0x7d]), Buffer.alloc(100_000));

/** Makes one thing after the other to send, each kind as often as its share says. */
export function createDeliveryMix({ secret, deployTagKey, versions, random }: MixOptions): () => {
  readonly kind: SendingKind;
  readonly sending: Sending;
} {
  const oneOf = <T>(list: readonly T[]): T => {
    const one = list[Math.floor(random() * list.length)];
    if (one === undefined) throw new Error("there is nothing to choose from");
    return one;
  };
  const hostileName = (): string => `${oneOf(HOSTILE_TEXTS)}${randomUUID()}${oneOf(HOSTILE_TEXTS)}`;
  const eventOf = (
    data: Readonly<Record<string, string>>,
    entity = "model_version_tag",
    action = oneOf(["set", "deleted"]),
  ): string => JSON.stringify({ entity, action, timestamp: new Date().toISOString(), data });
  const aboutDeployTag = ({ model, version }: ModelVersionKey): string =>
    eventOf({ name: model, version, key: deployTagKey, value: "true" });

  const request = (
    body: string | Buffer,
    statuses: readonly number[],
    changed: Readonly<Record<string, string>> = {},
    copies = 1,
  ): Sending => {
    const bytes = Buffer.from(body);
    const deliveryId = randomUUID();
    const timestamp = changed["x-mlflow-timestamp"] ?? String(Math.floor(Date.now() / 1000));
    const headers = {
      "content-type": "application/json",
      "x-mlflow-delivery-id": deliveryId,
      "x-mlflow-timestamp": timestamp,
      "x-mlflow-signature": sign(secret, deliveryId, timestamp, bytes),
      ...changed,
    };
    return { form: "request", body: bytes, headers, statuses, copies };
  };

  const oddRequest = (): Sending => {
    const body = aboutDeployTag(oneOf(versions));
    return oneOf<() => Sending>([
      () => request(body, [415], { "content-type": oneOf(["text/plain", "application/xml", "application/json; x=1"]) }),
      () => request(body, [415], { "content-encoding": "gzip" }),
      () => request(body, [400], { "x-mlflow-delivery-id": "" }),
      () => request(body, [401], { "x-mlflow-signature": "v1" }),
      () =>
        request(body, [401], {
          "x-mlflow-timestamp": oneOf(["NaN", "1e9", "-1", "١٢٣"]).replace(/[^\x20-\x7e]/g, "x"),
        }),
      () => request(Buffer.alloc(1024 * 1024 + 1), [413]),
    ])();
  };

  const beginning = (): string => {
    const { model } = oneOf(versions);
    const head = [
      "POST /webhook HTTP/1.1",
      "host: listener",
      "content-type: application/json",
      `x-mlflow-delivery-id: ${randomUUID()}`,
      `x-mlflow-timestamp: ${Math.floor(Date.now() / 1000)}`,
      "x-mlflow-signature: v1,c2lnbmF0dXJl",
      "content-length: 5000",
    ].join("\r\n");
    const whole = `${head}\r\n\r\n{"entity":"model_version_tag","data":{"name":"${model}"`;
    // Anywhere: before the first byte is out, in the head, in the body.
    return whole.slice(0, Math.floor(random() * whole.length));
  };

  const make: Readonly<Record<SendingKind, () => Sending>> = {
    "deploy tag of one of the versions": () => request(aboutDeployTag(oneOf(versions)), REACHED_MLFLOW),
    "the same delivery three times at once": () => request(aboutDeployTag(oneOf(versions)), REACHED_MLFLOW, {}, 3),
    "version that does not exist": () =>
      request(
        aboutDeployTag({ ...oneOf(versions), version: String(1000 + Math.floor(random() * 1e6)) }),
        REACHED_MLFLOW,
      ),
    // Some names are refused by us, some by MLflow, and some are just those of models that do not exist.
    "model with a hostile name, never the same": () =>
      request(aboutDeployTag({ model: hostileName(), version: "1" }), [200, 400, 422, 502]),
    "another tag": () => {
      const { model, version } = oneOf(versions);
      return request(eventOf({ name: model, version, key: `tag-${randomUUID()}`, value: hostileName() }), [200]);
    },
    "another event, with ever new entities and actions": () =>
      request(eventOf({ name: hostileName() }, `entity-${randomUUID()}`, `action-${randomUUID()}`), [200]),
    "wrong signature": () =>
      request(aboutDeployTag(oneOf(versions)), [401], { "x-mlflow-signature": `v1,${randomUUID()}` }),
    "right signature, too old or from the future": () => {
      const seconds = Math.floor(Date.now() / 1000) + oneOf([-86_400, -3600, 3600, 86_400]);
      return request(aboutDeployTag(oneOf(versions)), [401], { "x-mlflow-timestamp": String(seconds) });
    },
    "signed, but no event": () => request(oneOf(NO_EVENTS), [400]),
    "not what MLflow sends (headers, encoding, size)": oddRequest,
    "cut in the middle": () => ({ form: "cut", beginning: beginning() }),
    "silent after its beginning": () => ({ form: "silent", beginning: beginning() }),
  };

  return () => {
    let rest = random() * TOTAL;
    const kind = KINDS.find(one => (rest -= SHARES[one]) < 0) ?? oneOf(KINDS);
    return { kind, sending: make[kind]() };
  };
}
