import { describe, expect, it } from "vitest";
import { rejectionOf } from "../../test/support/unit/outcomes";
import { createMlflowReader, isSearchableName } from "./client";
import type { MlflowReader, ModelSearch } from "./client";
import { MlflowError } from "./errors";
import type { MlflowCall } from "./transport";

type Answer = (call: MlflowCall) => unknown;

/** A reader whose transport answers as the test says; a thrown error is one of the transport's. */
function readerWith(answer: Answer): {
  readonly reader: MlflowReader & ModelSearch;
  readonly calls: readonly MlflowCall[];
} {
  const calls: MlflowCall[] = [];
  const reader = createMlflowReader(call => {
    calls.push(call);
    return new Promise(resolve => {
      resolve(answer(call));
    });
  });
  return { reader, calls };
}

const IRIS = {
  ...{ name: "iris", version: "3", source: "models:/m-1", run_id: "0a", status: "READY", tags: [] },
  creation_timestamp: 1_700_000_000_123,
};
const missing = (reason: string): MlflowError =>
  new MlflowError("refused", "404", "RESOURCE_DOES_NOT_EXIST", { facts: { reason } });
const notFound = (): never => {
  throw missing("Model Version (name=iris, version=3) not found");
};

describe("getModelVersion", () => {
  it("reads a version with its tags", async () => {
    const tags = [{ key: "deploy", value: "true" }, { key: "__proto__", value: "x" }, { key: "empty" }];
    const { reader, calls } = readerWith(() => ({ model_version: { ...IRIS, tags, aliases: ["x"] } }));
    expect(await reader.getModelVersion({ model: "iris", version: "3" })).toEqual({
      model: "iris",
      version: "3",
      source: "models:/m-1",
      runId: "0a",
      status: "READY",
      createdAt: 1_700_000_000_123,
      tags: new Map([
        ["deploy", "true"],
        ["__proto__", "x"],
        ["empty", ""],
      ]),
    });
    expect(calls).toEqual([{ method: "GET", path: "model-versions/get", query: { name: "iris", version: "3" } }]);
  });

  it("takes what MLflow leaves out of its JSON for empty", async () => {
    const { reader } = readerWith(() => ({ model_version: { name: "iris", version: 3 } }));
    expect(await reader.getModelVersion({ model: "iris", version: "3" })).toMatchObject({
      runId: "",
      source: "",
      createdAt: 0,
      tags: new Map(),
    });
  });

  it("says undefined only when MLflow says that the version does not exist", async () => {
    expect(await readerWith(notFound).reader.getModelVersion({ model: "iris", version: "3" })).toBeUndefined();
  });

  it.each([
    missing("User with username=mlflow-kserve not found"),
    missing("Registered model permission with workspace=a, name=iris and username=b not found"),
    missing(""),
    new MlflowError("unexpected", "500", "RESOURCE_DOES_NOT_EXIST"),
    new MlflowError("unauthorized", "403", "RESOURCE_DOES_NOT_EXIST"),
    new MlflowError("refused", "400", "INVALID_PARAMETER_VALUE"),
    new MlflowError("unreachable", "no answer"),
  ])("passes on %o", async error => {
    const { reader } = readerWith(() => {
      throw error;
    });
    expect(await rejectionOf(reader.getModelVersion({ model: "iris", version: "3" }))).toBe(error);
  });

  it("refuses an answer about another version", async () => {
    const { reader } = readerWith(() => ({ model_version: { ...IRIS, version: "4" } }));
    expect((await rejectionOf(reader.getModelVersion({ model: "iris", version: "3" }))).message).toBe(
      "model-versions/get was answered with another model version than the one asked for",
    );
  });

  it("names the field of an answer in an unknown form", async () => {
    const { reader } = readerWith(() => ({ model_version: { ...IRIS, tags: null } }));
    const error = await rejectionOf(reader.getModelVersion({ model: "iris", version: "3" }));
    expect(error.message).toMatch(/^model-versions\/get was answered in an unknown form: model_version\.tags: /);
  });
});

describe("searchTagged", () => {
  it("asks for the tag in any case, page by page, and gives each version once", async () => {
    const pages: Readonly<Record<string, unknown>> = {
      "": { model_versions: [IRIS, { ...IRIS, version: "4" }], next_page_token: "two" },
      // A version that was changed between two pages is in both: the later look counts.
      two: { model_versions: [{ ...IRIS, source: "s3://new" }], next_page_token: "three" },
      three: { next_page_token: "" },
    };
    const { reader, calls } = readerWith(({ query }) => pages[query?.page_token ?? ""]);
    const found = await reader.searchTagged("deploy");
    expect(found.map(({ version, source }) => [version, source])).toEqual([
      ["3", "s3://new"],
      ["4", "models:/m-1"],
    ]);
    expect(calls.map(({ query }) => query)).toEqual([
      { filter: "tag.`deploy` ILIKE 'true'", max_results: "1000" },
      { filter: "tag.`deploy` ILIKE 'true'", max_results: "1000", page_token: "two" },
      { filter: "tag.`deploy` ILIKE 'true'", max_results: "1000", page_token: "three" },
    ]);
  });

  it("keeps versions apart whose names and numbers only look alike when joined", async () => {
    const names = [
      { name: "a", version: "12" },
      { name: "a1", version: "2" },
    ];
    const { reader } = readerWith(() => ({ model_versions: names }));
    expect(await reader.searchTagged("deploy")).toHaveLength(2);
  });

  it.each([
    ["the same token again", (): unknown => ({ model_versions: [IRIS], next_page_token: "again" }), 2],
    ["tokens without end", endlessTokens(), 10_000],
  ])("gives no partial list when it gets %s", async (_, answer, asked) => {
    const { reader, calls } = readerWith(answer);
    const error = await rejectionOf(reader.searchTagged("deploy"));
    expect(error.message).toBe("model-versions/search never came to a last page");
    expect(calls).toHaveLength(asked);
  });

  it.each([
    ["fails", (): never => notFound()],
    ["has another form", () => ({ model_versions: {} })],
    ["has a version without a name", () => ({ model_versions: [IRIS, { version: "1" }] })],
    ["is a list", () => [IRIS]],
  ])("gives no partial list when the second page %s", async (_, second) => {
    const { reader } = readerWith(({ query }) =>
      query?.page_token === "two" ? second() : { model_versions: [IRIS], next_page_token: "two" },
    );
    expect(await rejectionOf(reader.searchTagged("deploy"))).toBeInstanceOf(MlflowError);
  });
});

describe("runs and artifacts", () => {
  it("reads a run's experiment and artifacts", async () => {
    const { reader, calls } = readerWith(() => ({
      run: { info: { experiment_id: "1", artifact_uri: "s3://b/1/0a" } },
    }));
    expect(await reader.getRun("0a")).toEqual({ experimentId: "1", artifactUri: "s3://b/1/0a" });
    expect(calls).toEqual([{ method: "GET", path: "runs/get", query: { run_id: "0a" } }]);
  });

  it("says undefined for a run that does not exist", async () => {
    expect(await readerWith(notFound).reader.getRun("0a")).toBeUndefined();
  });

  it("asks for a download URI by name and version, and for a logged model by its encoded id", async () => {
    const { reader, calls } = readerWith(({ path }) =>
      path.startsWith("logged-models/") ? { model: { info: { artifact_uri: "s3://m" } } } : { artifact_uri: "s3://v" },
    );
    expect(await reader.getDownloadUri({ model: "a/b", version: "3" })).toBe("s3://v");
    expect(await reader.getLoggedModelUri("m-1/../x")).toBe("s3://m");
    expect(calls.map(({ path }) => path)).toEqual(["model-versions/get-download-uri", "logged-models/m-1%2F..%2Fx"]);
  });

  it.each([{}, { artifact_uri: "" }, null])("refuses the download URI %j", async answer => {
    const { reader } = readerWith(() => answer);
    const error = await rejectionOf(reader.getDownloadUri({ model: "iris", version: "3" }));
    expect(error.message).toMatch(/^model-versions\/get-download-uri was answered in an unknown form: /);
  });
});

describe("getDefaultExperimentCreation", () => {
  it.each([
    [{ creation_time: 1_700_000_000_123 }, 1_700_000_000_123],
    [{ creation_time: "1700000000123" }, 1_700_000_000_123],
    [{}, undefined],
  ])("reads of %j the time %j", async (experiment, creation) => {
    const { reader, calls } = readerWith(() => ({ experiment: { experiment_id: "0", ...experiment } }));
    expect(await reader.getDefaultExperimentCreation()).toBe(creation);
    expect(calls).toEqual([{ method: "GET", path: "experiments/get", query: { experiment_id: "0" } }]);
  });

  it("says undefined only when MLflow says that there is none", async () => {
    expect(await readerWith(notFound).reader.getDefaultExperimentCreation()).toBeUndefined();
    const forbidden = new MlflowError("unauthorized", "403");
    const { reader } = readerWith(() => {
      throw forbidden;
    });
    expect(await rejectionOf(reader.getDefaultExperimentCreation())).toBe(forbidden);
    expect(await rejectionOf(readerWith(() => ({})).reader.getDefaultExperimentCreation())).toBeInstanceOf(MlflowError);
  });
});

describe("ping", () => {
  it("fails when the answer is not MLflow's", async () => {
    await readerWith(() => ({})).reader.ping();
    expect(await rejectionOf(readerWith(() => []).reader.ping())).toBeInstanceOf(MlflowError);
  });
});

function endlessTokens(): Answer {
  let page = 0;
  return () => ({ next_page_token: String(page++) });
}

describe("a search for models", () => {
  it("asks once for the tagged versions of all the models", async () => {
    const { reader, calls } = readerWith(() => ({ model_versions: [IRIS], next_page_token: "more" }));
    const found = await reader.findTagged(["iris", "wine"], "deploy");
    expect(found).toMatchObject([{ model: "iris", version: "3" }]);
    const filter = "name IN ('iris','wine') AND tag.`deploy` ILIKE 'true'";
    expect(calls).toEqual([{ method: "GET", path: "model-versions/search", query: { filter, max_results: "1000" } }]);
  });

  it("asks once for the versions between two numbers", async () => {
    const { reader, calls } = readerWith(() => ({ model_versions: [IRIS], next_page_token: "more" }));
    const found = await reader.findNumbered(["iris", "wine"], { first: 3, last: 12 });
    expect(found).toMatchObject([{ model: "iris", version: "3" }]);
    const filter = "name IN ('iris','wine') AND version_number >= 3 AND version_number <= 12";
    expect(calls).toEqual([{ method: "GET", path: "model-versions/search", query: { filter, max_results: "1000" } }]);
  });

  it("is for names that mean themselves between quotes", () => {
    for (const name of ["iris", "churn model v2.1", "m_1-x", "模型", "été"]) expect(isSearchableName(name)).toBe(true);
    for (const name of [
      "",
      "it's",
      'a"b',
      "a\\b",
      "a%b",
      "a,b",
      "a`b",
      "(a)",
      "a\nb",
      "a\u0000b",
      "a;b",
      "🤖",
      "\ud800",
    ])
      expect(isSearchableName(name)).toBe(false);
  });
});
