import { describe, expect, it } from "vitest";
import { NO_DELIVERIES } from "../observability/delivery-counts";
import { MODES } from "../observability/metrics";
import type { Mode } from "../observability/health";
import type { DeliveryReport } from "./delivery-history";
import { webhookItem } from "./webhook-item";

const says = (mode: Mode, cause?: string): DeliveryReport => ({
  name: mode,
  mode,
  cause,
  startedAt: undefined,
  counts: NO_DELIVERIES,
});
const silent: DeliveryReport = { name: "10.0.0.7", problem: "connection refused; see that it runs" };

describe("the item Webhook", () => {
  it.each<[Mode, string, boolean]>([
    ["webhook", "good", false],
    ["polling", "good", false],
    ["propagating", "good", false],
    ["starting", "warning", true],
    ["fallback", "warning", true],
  ])("says what the mode %s means, and what to do", (mode, health, advises) => {
    const item = webhookItem([says(mode)]);
    expect(item).toMatchObject({ name: "Webhook", health, value: expect.stringMatching(`^${mode}: [^()]*`) as string });
    expect(item.value).not.toContain("pods)");
    expect(item.advice !== undefined).toBe(advises);
  });

  it("knows all modes", () => {
    expect(MODES.map(mode => webhookItem([says(mode)]).health)).not.toContain(undefined);
  });

  it("tells the cause that a pod names", () => {
    expect(webhookItem([says("fallback", "set MLFLOW_WEBHOOK_ALLOWED_SCHEMES")]).advice).toBe(
      "set MLFLOW_WEBHOOK_ALLOWED_SCHEMES",
    );
  });

  it("tells the worst of several, and how many say so", () => {
    const fallback = says("fallback");
    const item = webhookItem([says("webhook"), fallback, says("propagating"), fallback]);
    expect(item.health).toBe("warning");
    expect(item.value).toMatch(/^fallback: .* \(2 of 4 pods\)$/);
    expect(webhookItem([says("webhook"), says("webhook")]).value).toMatch(/^webhook: .* \(2 of 2 pods\)$/);
  });

  it("names who does not answer, beside what the others say", () => {
    expect(webhookItem([says("webhook"), silent])).toEqual({
      name: "Webhook",
      health: "warning",
      value:
        "webhook: deliveries arrive, as MLflow's own test deliveries have shown (1 of 2 pods); 1 of 2 pods does not answer",
      advice: "10.0.0.7: connection refused; see that it runs",
    });
    expect(webhookItem([silent, silent])).toMatchObject({ health: "warning", value: "2 of 2 pods do not answer" });
    expect(webhookItem([silent])).toMatchObject({ value: "the pods that take deliveries do not answer" });
    expect(webhookItem(Array<DeliveryReport>(9).fill(silent)).advice?.match(/10\.0\.0\.7/g)).toHaveLength(3);
  });

  it("says where to set it when nobody is asked", () => {
    expect(webhookItem(undefined)).toMatchObject({
      health: "warning",
      advice: expect.stringContaining("WEBHOOK_PODS_URL") as string,
    });
  });
});
