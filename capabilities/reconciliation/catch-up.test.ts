import { expect, it } from "vitest";
import { recordingLog } from "../../test/support/unit/recording-log";
import { createCatchUp } from "./catch-up";
import type { Resynced } from "./resync";

const REPORT = { tagged: 2, managed: 1, created: 1, updated: 0, deleted: 0, held: 0, outdated: 0, failed: 0 };

it("says what was found, and tells of a failure without throwing it", async () => {
  const { log, lines } = recordingLog();
  const resynced = { report: REPORT } as unknown as Resynced;
  expect(await createCatchUp({ resync: () => Promise.resolve(resynced), log })()).toBe(true);
  expect(await createCatchUp({ resync: () => Promise.reject(new Error("down")), log })()).toBe(false);
  expect(lines).toMatchObject([
    { level: "info", message: "Looked for what MLflow did not deliver", fields: REPORT },
    { level: "warn", fields: { cause: "down" } },
  ]);
});
