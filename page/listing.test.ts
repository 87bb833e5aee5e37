import { describe, expect, it } from "vitest";
import { publishedVersion } from "../test/support/unit/page-source";
import { changedBy, counted, filtered, idOf, namespacesOf, NO_FILTER, sorted } from "./listing";

const namesOf = (versions: readonly { readonly model: string; readonly version: string }[]): string[] =>
  versions.map(({ model, version }) => `${model} ${version}`);

const versions = [
  publishedVersion({ model: "iris", version: "2" }),
  publishedVersion({ model: "iris", version: "10" }),
  publishedVersion({ model: "model 10", version: "1" }, { word: "Starting", url: undefined }),
  publishedVersion({ model: "model 9", version: "1" }, { word: "Starting", url: undefined }, "team-a"),
  publishedVersion({ model: "churn", version: "1" }, { word: "Failed", cause: "No module named 'lightgbm'" }),
  publishedVersion({ model: "fraud", version: "1" }, { word: "Waiting" }),
];

describe("the versions are", () => {
  it("sorted by what has to be acted on, then by name as people count, the newest first", () => {
    expect(namesOf(sorted(versions))).toEqual(["churn 1", "fraud 1", "model 9 1", "model 10 1", "iris 10", "iris 2"]);
  });

  it.each([
    [{ search: "IRIS v10" }, ["iris 10"]],
    [{ search: "lightgbm" }, ["churn 1"]],
    [{ search: "https models" }, ["iris 2", "iris 10", "churn 1", "fraud 1"]],
    [{ search: "(" }, []],
    [{ states: ["Starting", "Failed"] as const }, ["model 10 1", "model 9 1", "churn 1"]],
    [{ states: ["Starting"] as const, namespace: "team-a" }, ["model 9 1"]],
    [{ namespace: "nowhere" }, []],
    [{}, namesOf(versions)],
  ])("filtered by %o", (filter, expected) => {
    expect(namesOf(filtered(versions, { ...NO_FILTER, ...filter }))).toEqual(expected);
  });

  it("counted, and their namespaces named once", () => {
    expect(Object.fromEntries(counted(versions))).toEqual({
      ...{ Failed: 1, Refused: 0, Conflict: 0, Waiting: 1, Starting: 2, Stopping: 0, Ready: 2 },
    });
    expect(namespacesOf(versions)).toEqual(["kserve-mlflow-models", "team-a"]);
  });

  it("changed without touching those that did not", () => {
    const before = new Map(versions.map(version => [idOf(version), version]));
    const changed = publishedVersion({ model: "fraud", version: "1" }, { word: "Ready" });
    const after = changedBy(before, { changed: [changed], removed: [{ model: "churn", version: "1" }] });
    expect(after.size).toBe(before.size - 1);
    expect(after.get(idOf(changed))).toBe(changed);
    expect(after.get(idOf({ model: "iris", version: "2" }))).toBe(versions[0]);
    expect(before.size).toBe(versions.length);
  });
});
