import { afterEach, describe, expect, it } from "vitest";
import { recordingLog } from "../../test/support/unit/recording-log";
import { createRotatingSecret, fixedSecret } from "./rotating-secret";
import type { RotatingSecret } from "./rotating-secret";

const INTERVAL = 15_000;
const GRACE = 600_000;

let started: RotatingSecret | undefined;

afterEach(() => started?.stop());

function follow(): {
  secret: RotatingSecret;
  become: (value: string | undefined | Error) => Promise<void>;
  pass: (milliseconds: number) => void;
  log: ReturnType<typeof recordingLog>;
} {
  let time = 0;
  let value: string | undefined | Error = "the first secret";
  const log = recordingLog();
  const secret = createRotatingSecret({
    first: "the first secret",
    read: () => (value instanceof Error ? Promise.reject(value) : Promise.resolve(value)),
    interval: INTERVAL,
    grace: GRACE,
    log: log.log,
    now: () => time,
  });
  started = secret;
  return {
    secret,
    log,
    become: async next => {
      value = next;
      await secret.check();
    },
    pass: milliseconds => {
      time += milliseconds;
    },
  };
}

describe("a rotating secret", () => {
  it("accepts a new one at once and the old one for the grace time", async () => {
    const { secret, become, pass } = follow();
    await become("the second secret");
    expect(secret.accepted()).toEqual(["the second secret", "the first secret"]);
    pass(GRACE - 1);
    expect(secret.accepted()).toEqual(["the second secret", "the first secret"]);
    pass(1);
    expect(secret.accepted()).toEqual(["the second secret"]);
  });

  it("gives MLflow a new one only when every replica has had the time to read it", async () => {
    const { secret, become, pass } = follow();
    expect(secret.forMlflow()).toBe("the first secret");
    await become("the second secret");
    pass(2 * INTERVAL - 1);
    expect(secret.forMlflow()).toBe("the first secret");
    pass(1);
    expect(secret.forMlflow()).toBe("the second secret");
  });

  it("follows several changes, back to an earlier one too", async () => {
    const { secret, become, pass } = follow();
    await become("the second secret");
    pass(1000);
    await become("the third secret");
    expect(secret.accepted()).toEqual(["the third secret", "the second secret", "the first secret"]);
    await become("the first secret");
    expect(secret.accepted()).toEqual(["the first secret", "the third secret", "the second secret"]);
    expect(secret.forMlflow()).toBe("the second secret");
    pass(GRACE);
    expect(secret.accepted()).toEqual(["the first secret"]);
    expect(secret.forMlflow()).toBe("the first secret");
  });

  it("keeps the known one when there is none, it is empty or cannot be read, and never shows it", async () => {
    const { secret, become, log } = follow();
    await become(undefined);
    await become(new Error("forbidden"));
    await become("");
    expect(secret.accepted()).toEqual(["the first secret"]);
    await become("the second secret");
    expect(secret.accepted()).toEqual(["the second secret", "the first secret"]);
    expect(JSON.stringify(log.lines)).toContain("forbidden");
    expect(JSON.stringify(log.lines)).not.toMatch(/"the first secret"|"the second secret"/);
  });
});

it("a fixed secret stays", async () => {
  const secret = fixedSecret("only");
  await secret.check();
  expect([secret.accepted(), secret.forMlflow()]).toEqual([["only"], "only"]);
});
