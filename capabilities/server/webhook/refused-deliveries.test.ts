import { describe, expect, it } from "vitest";
import { BODY, EVENT, ID, OUTCOME, setUpDeliveries } from "../../../test/support/unit/deliveries";
import { deferred } from "../../../test/support/unit/outcomes";
import type { Outcome } from "../../reconciliation/reconciler";
import { errorAnswer } from "../answers";
import { BodyError } from "../request-body";
import { sign } from "./signature";

describe("a delivery that is refused", () => {
  const stale = String(Math.floor(Date.now() / 1000) - 1000);

  it.each([
    ["no signature", { "x-mlflow-signature": undefined }, 401, "the header X-MLflow-Signature is missing: give MLflow"],
    ["an empty signature", { "x-mlflow-signature": "" }, 401, "the signature does not match: "],
    ["a wrong signature", { "x-mlflow-signature": "v1,AAAA" }, 401, "the signature does not match: "],
    ["no delivery id", { "x-mlflow-delivery-id": undefined }, 400, "the header X-MLflow-Delivery-Id is missing"],
    ["an empty delivery id", { "x-mlflow-delivery-id": "" }, 400, "the header X-MLflow-Delivery-Id is missing"],
    ["another delivery id", { "x-mlflow-delivery-id": "x" }, 401, "the signature does not match: "],
    ["an empty timestamp", { "x-mlflow-timestamp": "" }, 400, "the header X-MLflow-Timestamp is missing"],
    ["a stale timestamp", { "x-mlflow-timestamp": stale }, 401, " s old, more than 300 s: a replayed delivery"],
    [
      "a timestamp of another form",
      { "x-mlflow-timestamp": "2026-01-02" },
      401,
      "the timestamp is not in Unix seconds",
    ],
  ])("for %s reconciles nothing", async (_, headers, status, message) => {
    const { deliver, reconciled, lines } = setUpDeliveries();
    const answer = await deliver(BODY, headers);
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({ status: "error", message: expect.stringContaining(message) as string });
    expect(reconciled).toEqual([]);
    expect(lines).toMatchObject([{ level: "warn", message: "Delivery refused", fields: { status } }]);
  });

  it("is checked before its body is read: who has not the secret learns nothing of it", async () => {
    const { deliver } = setUpDeliveries();
    expect((await deliver("{", { "x-mlflow-signature": "v1,AAAA" })).status).toBe(401);
  });

  it.each([
    ["{", "the body is not JSON in UTF-8"],
    ["[]", "the body: "],
    [JSON.stringify({ ...EVENT, data: { ...EVENT.data, version: "latest" } }), "data.version: must be a positive"],
  ])("for its body %s is answered 400", async (body, message) => {
    const { deliver, reconciled } = setUpDeliveries();
    const answer = await deliver(body);
    expect(answer.status).toBe(400);
    expect(answer.body.message).toContain(message);
    expect(reconciled).toEqual([]);
  });

  it.each([
    [{ "content-type": undefined }, "the header Content-Type must be application/json"],
    [{ "content-type": "text/plain" }, "the header Content-Type must be application/json"],
    [{ "content-type": "application/json; charset=latin1" }, "the header Content-Type must be application/json"],
    [{ "content-encoding": "gzip" }, "the header Content-Encoding is not supported: send the JSON as it is"],
    [{ "content-encoding": "" }, "the header Content-Encoding is not supported: send the JSON as it is"],
  ])("for the headers %o is answered 415", async (headers, message) => {
    const { deliver, reconciled, counted } = setUpDeliveries();
    expect(await deliver(BODY, headers)).toEqual({ status: 415, body: { status: "error", message } });
    expect(reconciled).toEqual([]);
    expect(await counted("webhook_deliveries_rejected_total")).toEqual([
      'webhook_deliveries_rejected_total{reason="unsupported_media_type"} 1',
    ]);
  });

  it.each(["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'])("is not for %s", async type => {
    expect((await setUpDeliveries().deliver(BODY, { "content-type": type })).status).toBe(200);
  });

  it("for its size gets the server's answer, and is counted", async () => {
    const tooLarge = (): Promise<Buffer> => Promise.reject(new BodyError(errorAnswer(413, "too large")));
    const { deliver, counted, lines } = setUpDeliveries({ request: { body: tooLarge } });
    expect(await deliver()).toEqual(errorAnswer(413, "too large"));
    expect(lines).toMatchObject([{ message: "Delivery refused", fields: { status: 413, cause: "too large" } }]);
    expect(await counted("webhook_deliveries_rejected_total")).toEqual([
      'webhook_deliveries_rejected_total{reason="too_large"} 1',
    ]);
  });

  it("because the server is being closed is answered 503: MLflow tries again", async () => {
    const { deliver, reconciled } = setUpDeliveries({ request: { closing: true } });
    expect(await deliver()).toEqual({
      status: 503,
      body: { status: "error", message: "the module is shutting down" },
      headers: { "retry-after": "5" },
    });
    expect(reconciled).toEqual([]);
  });

  it("because too many are under way is answered 429, and only as long as they are", async () => {
    const work = deferred<Outcome>();
    const { deliver, counted } = setUpDeliveries({ maximumUnderWay: 2, reconcile: () => work.promise });
    const first = [deliver(), deliver()];
    expect(await deliver()).toEqual({
      status: 429,
      body: { status: "error", message: "2 deliveries are under way already; try again" },
      headers: { "retry-after": "1" },
    });
    // Neither these nor those without the secret take anybody's place, nor are they turned away for the crowd.
    expect((await deliver(JSON.stringify({ ...EVENT, entity: "prompt" }))).status).toBe(200);
    expect((await deliver(BODY, { "x-mlflow-signature": "v1,AAAA" })).status).toBe(401);
    work.resolve(OUTCOME);
    await Promise.all(first);
    expect((await deliver()).status).toBe(200);
    expect(await counted("webhook_deliveries_rejected_total")).toEqual([
      'webhook_deliveries_rejected_total{reason="unauthenticated"} 1',
      'webhook_deliveries_rejected_total{reason="overloaded"} 1',
    ]);
  });

  it("is logged with the id that the answer has, when it has none of its own", async () => {
    const { deliver, lines } = setUpDeliveries({ request: { id: "ours" } });
    await deliver(BODY, { "x-mlflow-delivery-id": "not a plain token" });
    expect(lines[0]?.fields).toMatchObject({ request_id: "ours" });
    expect(lines[0]?.fields).not.toHaveProperty("delivery_id");
  });

  it("tells no secret, in the answer or in the log", async () => {
    const { deliver, lines } = setUpDeliveries();
    const right = sign("geheim", ID, stale, Buffer.from(BODY)).slice(3);
    const answers = [
      await deliver(BODY, { "x-mlflow-signature": "v1,x" }),
      await deliver(BODY, { "x-mlflow-timestamp": stale }),
    ];
    expect(JSON.stringify([answers, lines])).not.toContain("geheim");
    expect(JSON.stringify([answers, lines])).not.toContain(right);
  });
});
