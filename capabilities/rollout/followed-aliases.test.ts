import { describe, expect, it, vi } from "vitest";
import { fakeMlflow } from "../../test/support/unit/fake-mlflow";
import { modelVersion } from "../../test/support/unit/objects";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RegisteredModel } from "../mlflow/registered-models";
import { createBatchingReader } from "../mlflow/batching-reader";
import { decide } from "../reconciliation/decision";
import { MlflowError } from "../mlflow/errors";
import { createFollowedAliases, followingReader } from "./followed-aliases";
import type { FollowedAliases, FollowedAliasesOptions } from "./followed-aliases";

const model = (
  aliases: Record<string, string>,
  tags: Record<string, string> = { deploy: "True" },
): RegisteredModel => ({
  name: "iris",
  tags: new Map(Object.entries(tags)),
  aliases: new Map(Object.entries(aliases)),
});

/** A reader between versions 1 to 3 of iris, with these tags, and the model. */
function readerOf(
  of: RegisteredModel | undefined,
  tags: Readonly<Record<string, Readonly<Record<string, string>>>> = {},
): {
  readonly reader: ReturnType<typeof followingReader>;
  readonly followed: ReturnType<typeof createFollowedAliases>;
} {
  const mlflow = fakeMlflow();
  for (const version of ["1", "2", "3"])
    mlflow.put(modelVersion({ version, tags: new Map(Object.entries(tags[version] ?? {})) }));
  const followed = createFollowedAliases({
    models: {
      getModel: name => Promise.resolve(of?.name === name ? of : undefined),
      searchTaggedModels: key => Promise.resolve(of?.tags.get(key)?.toLowerCase() === "true" ? [of] : []),
    },
    ...{ mlflow, deployTagKey: "deploy", aliases: ["champion", "challenger"], log: recordingLog().log },
  });
  return { reader: followingReader(mlflow, followed), followed };
}

/** The versions that are deployed, asked for one by one, and by the search; the two are always the same. */
async function deployed(...[of, tags]: Parameters<typeof readerOf>): Promise<string[]> {
  const { reader } = readerOf(of, tags);
  const one = async (version: string): Promise<string[]> => {
    const answer = await reader.getModelVersion({ model: "iris", version });
    return decide(answer, "deploy").kind === "serve" ? [version] : [];
  };
  const asked = (await Promise.all(["1", "2", "3"].map(one))).flat();
  const found = await reader.searchTagged("deploy");
  expect(found.map(({ version }) => version).sort()).toEqual(asked);
  return asked;
}

describe("of a model's versions are deployed", () => {
  it("those that its aliases are on, when it has the deploy tag in any case", async () => {
    expect(await deployed(model({ champion: "1", challenger: "3", other: "2" }))).toEqual(["1", "3"]);
  });

  it("one that both aliases are on, once", async () => {
    const { reader } = readerOf(model({ champion: "2", challenger: "2" }));
    expect(await reader.searchTagged("deploy")).toMatchObject([{ version: "2", modelWish: { alias: "champion" } }]);
  });

  it("those with a tag of their own beside them", async () => {
    expect(await deployed(model({ champion: "1" }), { 3: { deploy: "true" } })).toEqual(["1", "3"]);
  });

  it.each(["false", "no", ""])("none that has a veto (%j), whatever its alias", async veto => {
    expect(await deployed(model({ champion: "1", challenger: "2" }), { 1: { deploy: veto } })).toEqual(["2"]);
  });

  it.each([
    ["has not the tag", model({ champion: "1" }, {})],
    ["has the tag with another value", model({ champion: "1" }, { deploy: "false" })],
    ["has an alias on a version that is gone", model({ champion: "9" })],
  ])("none when it %s", async (_, of) => {
    expect(await deployed(of)).toEqual([]);
  });
});

it("a version whose model does not exist is no answer to rely on", async () => {
  const { reader } = readerOf(undefined);
  await expect(reader.getModelVersion({ model: "iris", version: "1" })).rejects.toThrow("and no such model");
});

it("a version knows of its model's tag although no alias is on it", async () => {
  const { reader, followed } = readerOf(model({ champion: "1" }));
  const version = await reader.getModelVersion({ model: "iris", version: "2" });
  expect(version).toMatchObject({ modelWish: { alias: undefined } });
  expect(decide(version, "deploy")).toEqual({
    kind: "remove",
    reason: "the model version has no tag deploy, and its model no alias on it",
  });
  expect(await followed.ofModel("iris")).toMatchObject([{ version: "1" }]);
  expect(await followed.ofModel("another")).toEqual([]);
});

it("the versions of hundreds of models are read by few searches", async () => {
  const mlflow = fakeMlflow();
  const models = Array.from({ length: 300 }, (_, index): RegisteredModel => {
    const [name, version] = [`model-${index}`, String(1 + (index % 40))];
    for (let number = 1; number <= 40; number++)
      mlflow.put(modelVersion({ model: name, version: String(number), tags: new Map([["serving", "Ready"]]) }));
    return { ...model({ champion: version }), name };
  });
  const followed = createFollowedAliases({
    models: { getModel: () => Promise.resolve(undefined), searchTaggedModels: () => Promise.resolve(models) },
    ...{
      mlflow: createBatchingReader(mlflow, "deploy"),
      deployTagKey: "deploy",
      aliases: ["champion"],
      log: recordingLog().log,
    },
  });
  expect(await followed.ofAll()).toHaveLength(300);
  expect(mlflow.asked.length).toBeLessThan(30);
});

describe("where MLflow lets not all be read", () => {
  const denied = new MlflowError("unauthorized", "model-versions/get was answered 403");
  const down = new MlflowError("unreachable", "no answer");

  const followedWith = (
    getModelVersion: FollowedAliasesOptions["mlflow"]["getModelVersion"],
    searchTaggedModels: FollowedAliasesOptions["models"]["searchTaggedModels"],
  ): { readonly followed: FollowedAliases; readonly messages: () => unknown[] } => {
    const { log, lines } = recordingLog();
    const models = { getModel: () => Promise.resolve(undefined), searchTaggedModels };
    const options = { models, mlflow: { getModelVersion }, deployTagKey: "deploy", aliases: ["champion"], log };
    return { followed: createFollowedAliases(options), messages: () => lines.map(({ level }) => level) };
  };
  const two = (): Promise<RegisteredModel[]> =>
    Promise.resolve([model({ champion: "1" }), { ...model({ champion: "1" }), name: "denied" }]);

  it("the rest is found, and what is missing told once", async () => {
    const { followed, messages } = followedWith(
      key =>
        key.model === "denied" ? Promise.reject(denied) : Promise.resolve(modelVersion({ ...key, tags: new Map() })),
      two,
    );
    expect(await followed.ofAll()).toMatchObject([{ model: "iris" }]);
    expect(await followed.ofAll()).toHaveLength(1);
    expect(messages()).toEqual(["warn"]);
  });

  it("a search that is refused leaves the versions with tags of their own", async () => {
    const { followed } = followedWith(
      () => Promise.resolve(undefined),
      () => Promise.reject(denied),
    );
    expect(await followed.ofAll()).toEqual([]);
  });

  it("an MLflow that does not answer fails the whole", async () => {
    await expect(followedWith(() => Promise.reject(down), two).followed.ofAll()).rejects.toThrow("no answer");
    await expect(
      followedWith(
        () => Promise.resolve(undefined),
        () => Promise.reject(down),
      ).followed.ofAll(),
    ).rejects.toThrow("no answer");
  });
});

it("no answer about a model is older than the question", async () => {
  const mlflow = fakeMlflow();
  mlflow.put(modelVersion({ version: "1", tags: new Map() }));
  let answer = model({ champion: "2" });
  let letGo: () => void = () => undefined;
  const held = new Promise<void>(resolve => (letGo = resolve));
  let calls = 0;
  const followed = createFollowedAliases({
    models: {
      async getModel() {
        const read = answer;
        if (calls++ === 0) await held;
        return read;
      },
      searchTaggedModels: () => Promise.resolve([]),
    },
    ...{ mlflow, deployTagKey: "deploy", aliases: ["champion"], log: recordingLog().log },
  });
  const version = modelVersion({ version: "1", tags: new Map() });
  const [first, same] = [followed.mark(version), followed.mark(version)];
  await vi.waitFor(() => {
    expect(calls).toBe(1);
  });
  answer = model({ champion: "1" });
  expect(await followed.mark(version)).toMatchObject({ modelWish: { alias: "champion" } });
  letGo();
  for (const earlier of [first, same]) expect((await earlier).modelWish).toEqual({ alias: undefined });
  expect(calls).toBe(2);
});
