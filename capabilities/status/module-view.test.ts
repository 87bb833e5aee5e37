import { describe, expect, it } from "vitest";
import { NO_DELIVERIES } from "../observability/delivery-counts";
import { moduleItems } from "./module-view";
import type { ModuleFacts } from "./module-view";

const NOW = Date.parse("2026-01-02T03:04:05Z");
const GOOD: ModuleFacts = {
  health: { mlflowConnected: true, kubernetesConnected: true },
  status: { lastSuccessfulPoll: new Date(NOW - 20_000) },
  deliveryReports: [{ name: "10.0.0.7", mode: "webhook", startedAt: undefined, counts: NO_DELIVERIES }],
  pollingInterval: 60_000,
  held: undefined,
  rollout: undefined,
  statusTags: [],
};

describe("moduleItems", () => {
  it("has nothing to advise where all is well", () => {
    const items = moduleItems(GOOD, NOW);
    expect(items.map(({ name }) => name)).toEqual([
      ...["MLflow", "API server", "Webhook", "Last poll", "Held deletions", "Rollout", "Status tags"],
    ]);
    for (const item of items) expect([item.health, item.advice]).toEqual(["good", undefined]);
  });

  it.each<[string, Partial<ModuleFacts>, string]>([
    ["MLflow", { health: { mlflowConnected: false, kubernetesConnected: true } }, "bad"],
    ["API server", { health: { mlflowConnected: true, kubernetesConnected: false } }, "bad"],
    ["Webhook", { deliveryReports: undefined }, "warning"],
    ["Last poll", { status: {} }, "bad"],
    ["Last poll", { status: { lastSuccessfulPoll: new Date(NOW - 180_001) } }, "bad"],
    ["Held deletions", { held: "Mass deletion held: 3 of 4 services" }, "warning"],
    ["Rollout", { rollout: "Rollout stopped with 2 services to go, because" }, "warning"],
    ["Status tags", { statusTags: ["give the user EDIT"] }, "warning"],
  ])("says what to do about %s", (name, facts, health) => {
    const wrong = moduleItems({ ...GOOD, ...facts }, NOW).filter(item => item.health !== "good");
    expect(wrong).toMatchObject([{ name, health, advice: expect.any(String) as string }]);
  });
});
