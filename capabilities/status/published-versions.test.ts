import { describe, expect, it } from "vitest";
import type { ModelVersionKey } from "../support/model-version-key";
import type { StateWord } from "./published";
import { createPublishedVersions } from "./published-versions";
import type { PublishedVersions } from "./published-versions";

function setUp(): PublishedVersions & { put: (version: string, word: StateWord | undefined) => void } {
  const words = new Map<string, StateWord | undefined>();
  const known = (version: string) => {
    const word = words.get(version);
    return {
      key: { model: "iris", version },
      state: word && { word },
      service: undefined,
      tags: undefined,
      isUncertain: false,
    };
  };
  const versions = createPublishedVersions({
    get: ({ version }: ModelVersionKey) => known(version),
    all: () => [...words.keys()].map(known),
    namespace: "models",
    nameOf: ({ version }) => `mlflow-iris-v${version}`,
  });
  return {
    ...versions,
    put(version, word) {
      words.set(version, word);
      versions.changed({ model: "iris", version });
    },
  };
}

describe("createPublishedVersions", () => {
  it("tells what changed since a revision, each version once and as it is now", () => {
    const { put, snapshot, since } = setUp();
    put("1", "Starting");
    put("2", "Starting");
    const { revision, versions } = snapshot();
    expect(versions.map(({ inferenceService, state }) => [inferenceService, state.word])).toEqual([
      ["mlflow-iris-v1", "Starting"],
      ["mlflow-iris-v2", "Starting"],
    ]);
    put("1", "Failed");
    put("1", "Ready");
    put("2", undefined);
    expect(since(revision)).toMatchObject({
      revision: revision + 3,
      changed: [{ version: "1", state: { word: "Ready" } }],
      removed: [{ version: "2" }],
    });
    expect(since(revision + 3)).toMatchObject({ changed: [], removed: [] });
  });

  it("tells each change to who listens, until they have enough", () => {
    const { put, subscribe } = setUp();
    const heard: unknown[] = [];
    const stop = subscribe(({ revision, changed }) => heard.push([revision, changed[0]?.state.word]));
    put("1", "Starting");
    stop();
    put("1", "Ready");
    expect(heard).toEqual([[1, "Starting"]]);
  });

  it("asks for a new snapshot of who missed more than it remembers, or comes from another process", () => {
    const { put, since } = setUp();
    for (let version = 0; version <= 5_000; version++) put(String(version), "Ready");
    expect(since(0)).toBeUndefined();
    expect(since(1)?.changed).toHaveLength(5_000);
    expect(since(6_000)).toBeUndefined();
  });
});
