import { describe, expect, it } from "vitest";
import { MlflowError } from "./errors";
import { createRegisteredModelReader } from "./registered-models";
import type { MlflowCall } from "./transport";

const IRIS = {
  name: "iris",
  creation_timestamp: 1,
  tags: [{ key: "deploy", value: "true" }],
  aliases: [{ alias: "champion", version: "3" }],
  latest_versions: [],
};

const readerWith = (answer: (call: MlflowCall) => unknown): ReturnType<typeof createRegisteredModelReader> =>
  // As the transport itself does, also with what is thrown at once.
  createRegisteredModelReader(
    call =>
      new Promise(resolve => {
        resolve(answer(call));
      }),
  );

const refusedWith =
  (code: string, reason: string): (() => never) =>
  () => {
    throw new MlflowError("refused", reason, code, { facts: { status: 404, reason } });
  };

describe("a registered model", () => {
  it("has its tags and aliases, none of which MLflow need name", async () => {
    const reader = readerWith(() => ({ registered_model: IRIS }));
    const model = await reader.getModel("iris");
    expect(model?.aliases.get("champion")).toBe("3");
    expect(model?.tags.get("deploy")).toBe("true");
    expect(await readerWith(() => ({ registered_model: { name: "x" } })).getModel("x")).toEqual({
      name: "x",
      tags: new Map(),
      aliases: new Map(),
    });
  });

  it("does not exist only when MLflow says so of it", async () => {
    const gone = readerWith(refusedWith("RESOURCE_DOES_NOT_EXIST", "Registered Model with name=iris not found"));
    expect(await gone.getModel("iris")).toBeUndefined();
    const noUser = readerWith(refusedWith("RESOURCE_DOES_NOT_EXIST", "User with username=me not found"));
    await expect(noUser.getModel("iris")).rejects.toThrow("User with username=me");
  });

  it("is not another one than was asked for", async () => {
    await expect(readerWith(() => ({ registered_model: IRIS })).getModel("Iris")).rejects.toThrow("another model");
  });
});

it("all models with the tag are found, page by page", async () => {
  const asked: unknown[] = [];
  const reader = readerWith(call => {
    asked.push(call.method === "GET" ? call.query : undefined);
    const second = { registered_models: [{ ...IRIS, name: "churn" }] };
    return asked.length === 1 ? { registered_models: [IRIS], next_page_token: "next" } : second;
  });
  expect((await reader.searchTaggedModels("deploy")).map(({ name }) => name)).toEqual(["iris", "churn"]);
  expect(asked).toMatchObject([{ filter: "tag.`deploy` ILIKE 'true'" }, { page_token: "next" }]);
});
