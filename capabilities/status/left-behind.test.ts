import { describe, expect, it } from "vitest";
import { fakeMlflow } from "../../test/support/unit/fake-mlflow";
import { modelVersion } from "../../test/support/unit/objects";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { MlflowReader, ModelVersion } from "../mlflow/client";
import { createLeftBehindSearch } from "./left-behind";
import { statusTagKeys } from "./status-tags";

const OWN = new Map([["serving", "Ready"]]);
const THEIRS = new Map([...OWN, ["deploy-b", "true"]]);
const NO_TAGS: ReadonlyMap<string, string> = new Map();

const versions = Object.entries({ ours: OWN, theirs: THEIRS, manual: new Map([["serving", "by hand"]]) }).map(
  ([model, tags]) => modelVersion({ model, tags }),
);

/** The models that a search finds. */
async function search(
  prefix: string,
  replaced: Partial<MlflowReader> = {},
  known: readonly string[] = [],
): Promise<{ found: readonly string[]; asked: readonly string[] }> {
  const mlflow = fakeMlflow(replaced);
  for (const version of versions) {
    const tags = new Map([...version.tags].map(([key, value]) => [key === "serving" ? prefix : key, value]));
    mlflow.put({ ...version, tags });
  }
  const find = createLeftBehindSearch({
    ...{ mlflow, deployTagKey: "deploy", tagKeys: statusTagKeys(prefix), log: recordingLog().log },
    isKnown: ({ model }) => known.includes(model),
  });
  const found = await find();
  return { found: found.map(({ model }) => model), asked: mlflow.asked.slice(1) };
}

const withoutTags = (): Promise<ModelVersion[]> =>
  Promise.resolve(versions.map(version => ({ ...version, tags: NO_TAGS })));

describe("the search for status tags that were left behind", () => {
  it("finds this module's, and none of another installation's that may write the same", async () => {
    expect(await search("serving")).toEqual({ found: ["ours"], asked: [] });
    expect(await search("served")).toEqual({ found: ["ours", "theirs"], asked: [] });
  });

  it("reads the versions where the search tells no tags, but for those that are known", async () => {
    const { found, asked } = await search("serving", { searchWithTag: withoutTags }, ["manual"]);
    expect(found).toEqual(["ours", "manual"]);
    expect(asked).toEqual(['version "ours" version 3', 'version "theirs" version 3']);
  });

  it("finds nothing when MLflow does not answer", async () => {
    expect(await search("serving", { searchWithTag: () => Promise.reject(new Error("down")) })).toEqual({
      found: [],
      asked: [],
    });
  });
});
