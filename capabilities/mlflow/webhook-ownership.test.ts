import { describe, expect, it } from "vitest";
import type { RegisteredWebhook } from "./webhook-answers";
import { changesOf, descriptionFor, EVENTS } from "./webhook-ownership";

const IDENTITY = { name: "mlflow-kserve", url: "https://module.example.com/webhook", installation: "here" };

describe("changesOf", () => {
  const own: RegisteredWebhook = {
    webhook_id: "own",
    name: IDENTITY.name,
    description: descriptionFor("here"),
    url: IDENTITY.url,
    status: "ACTIVE",
    creation_timestamp: 1,
    last_updated_timestamp: 1,
    events: [...EVENTS].reverse(),
  };

  it.each<[string, RegisteredWebhook[], string[]]>([
    ["nothing, whatever the order of the events", [own], []],
    ["a deletion", [], ["deleted"]],
    ["a replacement", [{ ...own, webhook_id: "other" }], ["replaced by another"]],
    ["a duplicate", [own, { ...own, webhook_id: "other" }], ["duplicated"]],
    [
      "several changes",
      [{ ...own, status: "DISABLED", name: "x", url: "https://other", events: [], description: "" }],
      ["disabled", "given another name", "given another URL", "given other events", "given another description"],
    ],
    ["events too many", [{ ...own, events: [...own.events, { entity: "X", action: "Y" }] }], ["given other events"]],
  ])("finds %s", (_, found, changes) => {
    expect(changesOf(found, "own", IDENTITY)).toEqual(changes);
  });
});
