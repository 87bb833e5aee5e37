import { describe, expect, it } from "vitest";
import { rejectionOf } from "../../test/support/unit/outcomes";
import { MlflowError } from "./errors";
import type { MlflowCall, MlflowTransport } from "./transport";
import { insisting, isOurSuccess, isUnreadable, proveDeliveries } from "./webhook-proof";
import type { Tally } from "./webhook-proof";

const WEBHOOK = "1";
const LIST: MlflowCall = { method: "GET", path: "webhooks" };

const internalError = (reason: string): MlflowError =>
  new MlflowError("unexpected", `was answered 500: ${reason}`, "INTERNAL_ERROR", { facts: { status: 500, reason } });
const unreadable = (): MlflowError => internalError("");
const result = (status: number, body: unknown): unknown => ({
  result: { success: status < 400, response_status: status, response_body: JSON.stringify(body) },
});
const success = result(200, { status: "success", action: "ignored" });

/** Answers in turn; the last answer again and again. */
function answering(...answers: readonly unknown[]): {
  readonly transport: MlflowTransport;
  readonly calls: MlflowCall[];
} {
  const calls: MlflowCall[] = [];
  const transport: MlflowTransport = call => {
    const answer = answers[Math.min(calls.length, answers.length - 1)];
    calls.push(call);
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  return { transport, calls };
}

function emptyTally(): Tally {
  return { readable: 0, unreadable: 0 };
}

describe("isUnreadable", () => {
  it.each([
    [unreadable(), true],
    [internalError("database is locked"), false],
    [new MlflowError("unexpected", "was answered 500 without MLflow's error format"), false],
    [new Error("INTERNAL_ERROR: "), false],
  ])("of %o is %s", (error, expected) => {
    expect(isUnreadable(error)).toBe(expected);
  });
});

describe("insisting", () => {
  it("repeats a call until it comes to a process that has the key", async () => {
    const { transport, calls } = answering(unreadable(), unreadable(), "found");
    const tally = emptyTally();
    expect(await insisting(transport, tally, 3)(LIST)).toBe("found");
    expect(calls).toEqual([LIST, LIST, LIST]);
    expect(tally).toEqual({ readable: 1, unreadable: 2 });
  });

  it("gives up after the given number of tries", async () => {
    const { transport, calls } = answering(unreadable());
    const tally = emptyTally();
    expect(isUnreadable(await rejectionOf(insisting(transport, tally, 3)(LIST)))).toBe(true);
    expect(calls).toHaveLength(3);
    expect(tally).toEqual({ readable: 0, unreadable: 3 });
  });

  it("never creates twice", async () => {
    const { transport, calls } = answering(unreadable());
    await rejectionOf(insisting(transport, emptyTally(), 3)({ method: "POST", path: "webhooks" }));
    expect(calls).toHaveLength(1);
  });

  it("repeats nothing that failed for another reason", async () => {
    const { transport, calls } = answering(new MlflowError("unreachable", "down"));
    const tally = emptyTally();
    expect((await rejectionOf(insisting(transport, tally, 3)(LIST))).message).toBe("down");
    expect(calls).toHaveLength(1);
    expect(tally).toEqual(emptyTally());
  });
});

describe("proveDeliveries", () => {
  it("has every test delivery arrive, and reads the list before each as a real delivery does", async () => {
    const { transport, calls } = answering({}, success, {}, success);
    const tally = emptyTally();
    expect(await proveDeliveries(transport, WEBHOOK, 2, tally)).toBeUndefined();
    expect(calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "GET webhooks",
      "POST webhooks/1/test",
      "GET webhooks",
      "POST webhooks/1/test",
    ]);
    expect(tally).toEqual({ readable: 2, unreadable: 0 });
  });

  it("ends with the first that does not arrive: MLflow may have waited long for it", async () => {
    const { transport, calls } = answering({}, success, {}, result(401, { status: "error", message: "no" }));
    expect(await proveDeliveries(transport, WEBHOOK, 8, emptyTally())).toMatchObject({
      kind: "delivery",
      test: { response_status: 401 },
    });
    expect(calls).toHaveLength(4);
  });

  it("goes on past a process without the key, counting it", async () => {
    const { transport } = answering({}, unreadable(), unreadable(), {}, success);
    const tally = emptyTally();
    expect(await proveDeliveries(transport, WEBHOOK, 3, tally)).toBeUndefined();
    expect(tally).toEqual({ readable: 1, unreadable: 2 });
  });

  it("fails with any other error of a call", async () => {
    const { transport } = answering(new MlflowError("unreachable", "down"));
    expect((await rejectionOf(proveDeliveries(transport, WEBHOOK, 3, emptyTally()))).message).toBe("down");
  });
});

describe("isOurSuccess", () => {
  const ours = { success: true, response_status: 200, response_body: '{"status":"success"}', error_message: "" };

  it.each([
    [{}, true],
    [{ success: false }, false],
    [{ response_status: 202 }, false],
    [{ response_status: undefined }, false],
    [{ response_body: "<html>Welcome</html>" }, false],
    [{ response_body: "null" }, false],
    [{ response_body: '"success"' }, false],
    [{ response_body: '{"status":"ok"}' }, false],
    [{ response_body: "" }, false],
  ])("of an answer with %o is %s", (changes, expected) => {
    expect(isOurSuccess({ ...ours, ...changes })).toBe(expected);
  });
});
