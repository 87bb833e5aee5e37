import { describe, expect, it } from "vitest";
import { recordingLog } from "../../test/support/unit/recording-log";
import { createRenewableAccess } from "./access";
import type { MlflowAccess } from "./access";

describe("createRenewableAccess", () => {
  const accessOf = (token: string): MlflowAccess => ({ authorization: `Bearer ${token}`, tls: {} });

  it("takes up what changed, and keeps the former where the new cannot be used, which it tells once", async () => {
    const answers = ["first", new Error("it is empty"), new Error("it is empty"), "second", new Error("it is empty")];
    const { log, lines } = recordingLog();
    const access = createRenewableAccess({
      first: accessOf("first"),
      load: () => {
        const answer = answers.shift();
        return typeof answer === "string" ? Promise.resolve(accessOf(answer)) : Promise.reject(answer ?? new Error());
      },
      log,
    });
    const seen: unknown[] = [];
    while (answers.length > 0) {
      await access.check();
      seen.push(access.current().authorization);
    }
    access.stop();
    expect(seen).toEqual(["Bearer first", "Bearer first", "Bearer first", "Bearer second", "Bearer second"]);
    expect(lines.map(({ level, fields }) => [level, fields.cause])).toEqual([
      ["warn", "it is empty"],
      ["info", undefined],
      ["warn", "it is empty"],
    ]);
  });

  it("reads at most once a second for refused credentials, and says whether there are others", async () => {
    let reads = 0;
    const access = createRenewableAccess({
      first: accessOf("first"),
      load: () => Promise.resolve(accessOf(reads++ === 0 ? "first" : "second")),
      log: recordingLog().log,
    });
    const first = access.current();
    // Just read at the start.
    expect([await access.renew(first), reads]).toEqual([false, 0]);
    await access.check();
    await access.check();
    expect([await access.renew(first), reads]).toEqual([true, 2]);
    expect(await access.renew(access.current())).toBe(false);
    access.stop();
  });
});
