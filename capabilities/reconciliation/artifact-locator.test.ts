import { describe, expect, it } from "vitest";
import { fakeMlflow } from "../../test/support/unit/fake-mlflow";
import type { FakeMlflow } from "../../test/support/unit/fake-mlflow";
import { modelVersion } from "../../test/support/unit/objects";
import { rejectionOf } from "../../test/support/unit/outcomes";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedLine } from "../../test/support/unit/recording-log";
import type { MlflowReader } from "../mlflow/client";
import { MlflowError } from "../mlflow/errors";
import { createArtifactLocator } from "./artifact-locator";
import { RefusedError } from "./errors";

const BASE = "s3://bucket/base";
const MINUTE = 60_000;

function setUp(
  replaced: Partial<MlflowReader> = {},
  needsExperiment = false,
): {
  readonly mlflow: FakeMlflow;
  readonly locate: ReturnType<typeof createArtifactLocator>;
  readonly clock: { now: number };
  readonly logged: readonly RecordedLine[];
} {
  const mlflow = fakeMlflow(replaced);
  mlflow.runs.set("0a1b2c", { experimentId: "7", artifactUri: "s3://bucket/7/0a1b2c/artifacts" });
  const clock = { now: 0 };
  const { log, lines: logged } = recordingLog();
  const options = { needsExperiment, log, now: () => clock.now };
  return { mlflow, locate: createArtifactLocator(mlflow, { storageUriBase: BASE }, options), clock, logged };
}

const answers = (uri: string) => (): Promise<string> => Promise.resolve(uri);

describe("createArtifactLocator", () => {
  it("asks MLflow nothing when the source can be read as it is and the template needs no experiment", async () => {
    const { mlflow, locate } = setUp();
    for (const source of ["s3://bucket/iris", "mlflow-artifacts:/7/models/m-1/artifacts"])
      expect(await locate(modelVersion({ source }))).toMatchObject({ experimentId: "" });
    expect(mlflow.asked).toEqual([]);
  });

  it("lets MLflow resolve a logged model, and asks only once", async () => {
    const { mlflow, locate } = setUp({ getDownloadUri: answers("mlflow-artifacts:/7/models/m-1/artifacts") });
    const version = modelVersion({ source: "models:/m-1", runId: "" });
    const expected = { storageUri: "s3://bucket/base/7/models/m-1/artifacts/", experimentId: "" };
    expect(await locate(version)).toEqual(expected);
    expect(await locate(version)).toEqual(expected);
    expect(mlflow.asked).toEqual(['download "iris" version 3']);
  });

  it.each([{ createdAt: 1_700_000_000_001 }, { source: "models:/m-2" }])(
    "asks again for a version that was made anew with %j",
    async changes => {
      const uris = ["s3://bucket/old", "s3://bucket/new"].values();
      const { locate } = setUp({ getDownloadUri: () => Promise.resolve(uris.next().value ?? "") });
      const version = modelVersion({ source: "models:/m-1" });
      expect(await locate(version)).toMatchObject({ storageUri: "s3://bucket/old/" });
      expect(await locate({ ...version, ...changes })).toMatchObject({ storageUri: "s3://bucket/new/" });
    },
  );

  it.each([
    ["models:/m-1", 1, true],
    ["runs:/0a1b2c/model", 1, true],
    ["models:/stg/1", 1, false],
    // Of a version whose making has no time, nothing is known for good.
    ["models:/m-1", 0, false],
  ])("remembers where %s leads, for a version made at %d: for good is %s", async (source, createdAt, forGood) => {
    const uris = ["s3://bucket/old", "s3://bucket/new"].values();
    const { locate, clock } = setUp({ getDownloadUri: () => Promise.resolve(uris.next().value ?? "") });
    const version = modelVersion({ source, createdAt });
    for (clock.now of [0, MINUTE]) expect(await locate(version)).toMatchObject({ storageUri: "s3://bucket/old/" });
    clock.now = 2 * MINUTE;
    expect(await locate(version)).toMatchObject({ storageUri: `s3://bucket/${forGood ? "old" : "new"}/` });
  });

  it("does not remember for good what leads through another version on the way", async () => {
    const uris = ["models:/stg/1", "s3://bucket/old", "models:/stg/1", "s3://bucket/new"].values();
    const { locate, clock } = setUp({
      getDownloadUri: () => Promise.resolve(uris.next().value ?? ""),
      getLoggedModelUri: answers("models:/stg/1"),
    });
    const version = modelVersion({ source: "models:/m-1" });
    expect(await locate(version)).toMatchObject({ storageUri: "s3://bucket/old/" });
    clock.now = 2 * MINUTE;
    expect(await locate(version)).toMatchObject({ storageUri: "s3://bucket/new/" });
  });

  it("follows itself what MLflow hands back as it was", async () => {
    const { mlflow, locate } = setUp({
      getDownloadUri: answers("models:/m-1"),
      getLoggedModelUri: answers("s3://bucket/m-1"),
    });
    expect(await locate(modelVersion({ source: "models:/m-1", runId: "" }))).toMatchObject({
      storageUri: "s3://bucket/m-1/",
    });
    expect(mlflow.asked).toEqual(['download "iris" version 3', "logged model m-1"]);
  });

  it.each([
    ["runs:/0a1b2c/model", "s3://bucket/7/0a1b2c/artifacts/model/"],
    // No slash at the end: for some storages that is another folder.
    ["runs:/0a1b2c", "s3://bucket/7/0a1b2c/artifacts/"],
    ["runs:/0a1b2c/", "s3://bucket/7/0a1b2c/artifacts/"],
  ])("follows %s to the run's artifacts", async (source, storageUri) => {
    const { locate } = setUp({ getDownloadUri: answers(source) });
    expect(await locate(modelVersion({ source }))).toMatchObject({ storageUri });
  });

  it("refuses a source that goes in circles", async () => {
    const { locate } = setUp({ getDownloadUri: answers("models:/iris/3") });
    const error = await rejectionOf(locate(modelVersion({ source: "models:/iris/3" })));
    expect(error).toBeInstanceOf(RefusedError);
    expect(error.message).toBe(
      'The source "models:/iris/3" leads nowhere: register the version from the artifacts themselves',
    );
  });

  it("refuses a source whose run is gone, and says what to do", async () => {
    const { locate } = setUp({ getDownloadUri: answers("runs:/gone/model") });
    const error = await rejectionOf(locate(modelVersion({ source: "runs:/gone/model" })));
    expect(error).toBeInstanceOf(RefusedError);
    expect(error.message).toBe(
      "The run gone of the version's source does not exist any more: register the version from another run",
    );
  });

  it("refuses what KServe cannot read, also when MLflow's answer leads there", async () => {
    for (const source of ["file:///mlruns/1", "models:/m-1"]) {
      const { locate } = setUp({ getDownloadUri: answers("file:///mlruns/1") });
      const error = await rejectionOf(locate(modelVersion({ source })));
      expect(error).toBeInstanceOf(RefusedError);
      expect(error.message).toContain(
        "is on a file system that KServe cannot see: keep MLflow's artifacts in object storage",
      );
    }
  });

  it("keeps no failure: the next look asks again", async () => {
    let up = false;
    const failing = (): Promise<never> => Promise.reject(new MlflowError("unreachable", "down"));
    const { locate } = setUp({ getDownloadUri: () => (up ? Promise.resolve("s3://bucket/m-1") : failing()) });
    const version = modelVersion({ source: "models:/m-1" });
    expect((await rejectionOf(locate(version))).message).toBe("down");
    up = true;
    expect(await locate(version)).toMatchObject({ storageUri: "s3://bucket/m-1/" });
  });
});

describe("the experiment", () => {
  const unreadable: readonly [string, MlflowReader["getRun"]][] = [
    ["403", () => Promise.reject(new MlflowError("unauthorized", "Permission denied"))],
    ["a deleted run", () => Promise.resolve(undefined)],
    ["another refusal", () => Promise.reject(new MlflowError("refused", "no", "INVALID_PARAMETER_VALUE"))],
    ["half an answer", () => Promise.reject(new MlflowError("unexpected", "half an answer"))],
    ["no answer", () => Promise.reject(new MlflowError("unreachable", "down"))],
  ];

  it("is asked for once when the template needs it", async () => {
    const { mlflow, locate } = setUp({}, true);
    for (let look = 0; look < 2; look++)
      expect(await locate(modelVersion())).toEqual({ storageUri: "s3://bucket/iris/", experimentId: "7" });
    expect(mlflow.asked).toEqual(["run 0a1b2c"]);
    expect(await locate(modelVersion({ runId: "" }))).toMatchObject({ experimentId: "" });
  });

  it.each(unreadable)("is empty and holds up nothing with %s, which is a warning once", async (_, getRun) => {
    const { locate, logged } = setUp({ getRun }, true);
    for (const runId of ["one", "two"])
      expect(await locate(modelVersion({ runId }))).toEqual({ storageUri: "s3://bucket/iris/", experimentId: "" });
    expect(logged.map(({ level, fields }) => [level, fields.run_id])).toEqual([
      ["warn", "one"],
      ["debug", "two"],
    ]);
  });

  it.each(unreadable)("stays what the service records for this very run with %s", async (_, getRun) => {
    const { locate } = setUp({ getRun }, true);
    const recorded = { runId: "0a1b2c", experimentId: "5" };
    for (let look = 0; look < 2; look++)
      expect(await locate(modelVersion(), recorded)).toMatchObject({ experimentId: "5" });
    expect(await locate(modelVersion({ runId: "other" }), recorded)).toMatchObject({ experimentId: "" });
  });

  it("is MLflow's, whatever the service records", async () => {
    const { locate } = setUp({}, true);
    expect(await locate(modelVersion(), { runId: "0a1b2c", experimentId: "5" })).toMatchObject({ experimentId: "7" });
  });

  it("stays known while MLflow fails", async () => {
    let up = true;
    const run = { experimentId: "7", artifactUri: "" };
    const { locate } = setUp(
      { getRun: () => (up ? Promise.resolve(run) : Promise.reject(new MlflowError("unreachable", "down"))) },
      true,
    );
    await locate(modelVersion());
    up = false;
    expect(await locate(modelVersion())).toMatchObject({ experimentId: "7" });
  });

  it.each([
    ["a minute after a passing failure", new MlflowError("unreachable", "down"), MINUTE],
    ["ten minutes after a refusal", new MlflowError("unauthorized", "403"), 10 * MINUTE],
  ])("is asked for again %s", async (_, error, wait) => {
    let isReadable = false;
    const run = { experimentId: "7", artifactUri: "" };
    const { mlflow, locate, clock } = setUp(
      { getRun: () => (isReadable ? Promise.resolve(run) : Promise.reject(error)) },
      true,
    );
    for (clock.now of [0, wait - 1]) expect(await locate(modelVersion())).toMatchObject({ experimentId: "" });
    expect(mlflow.asked).toHaveLength(1);
    isReadable = true;
    clock.now = wait;
    expect(await locate(modelVersion())).toMatchObject({ experimentId: "7" });
  });
});
