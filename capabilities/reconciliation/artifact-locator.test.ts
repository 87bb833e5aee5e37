import { describe, expect, it } from "vitest";
import { fakeMlflow } from "../../test/support/unit/fake-mlflow";
import type { FakeMlflow } from "../../test/support/unit/fake-mlflow";
import { modelVersion } from "../../test/support/unit/objects";
import { rejectionOf } from "../../test/support/unit/outcomes";
import type { MlflowReader } from "../mlflow/client";
import { MlflowError } from "../mlflow/errors";
import { createArtifactLocator } from "./artifact-locator";
import { RefusedError } from "./errors";

const BASE = "s3://bucket/base";

function setUp(replaced: Partial<MlflowReader> = {}): {
  readonly mlflow: FakeMlflow;
  readonly locate: ReturnType<typeof createArtifactLocator>;
} {
  const mlflow = fakeMlflow(replaced);
  mlflow.runs.set("0a1b2c", { experimentId: "7", artifactUri: "s3://bucket/7/0a1b2c/artifacts" });
  return { mlflow, locate: createArtifactLocator(mlflow, { storageUriBase: BASE }) };
}

const answers = (uri: string) => (): Promise<string> => Promise.resolve(uri);

describe("createArtifactLocator", () => {
  it("asks only for the experiment when the source can be read as it is, and only once", async () => {
    const { mlflow, locate } = setUp();
    const expected = { storageUri: "s3://bucket/iris", experimentId: "7" };
    expect(await locate(modelVersion())).toEqual(expected);
    expect(await locate(modelVersion())).toEqual(expected);
    expect(mlflow.asked).toEqual(["run 0a1b2c"]);
  });

  it("lets MLflow resolve a logged model, and asks only once", async () => {
    const { mlflow, locate } = setUp({ getDownloadUri: answers("mlflow-artifacts:/7/models/m-1/artifacts") });
    const version = modelVersion({ source: "models:/m-1", runId: "" });
    const expected = { storageUri: "s3://bucket/base/7/models/m-1/artifacts", experimentId: "" };
    expect(await locate(version)).toEqual(expected);
    expect(await locate(version)).toEqual(expected);
    expect(mlflow.asked).toEqual(['download "iris" version 3']);
  });

  it("asks again for a version that was made anew from another source", async () => {
    const { locate } = setUp();
    await locate(modelVersion());
    expect(await locate(modelVersion({ source: "s3://bucket/new" }))).toMatchObject({ storageUri: "s3://bucket/new" });
  });

  it("follows itself what MLflow hands back as it was", async () => {
    const { mlflow, locate } = setUp({
      getDownloadUri: answers("models:/m-1"),
      getLoggedModelUri: answers("s3://bucket/m-1"),
    });
    expect(await locate(modelVersion({ source: "models:/m-1", runId: "" }))).toMatchObject({
      storageUri: "s3://bucket/m-1",
    });
    expect(mlflow.asked).toEqual(['download "iris" version 3', "logged model m-1"]);
  });

  it.each([
    ["runs:/0a1b2c/model", "s3://bucket/7/0a1b2c/artifacts/model"],
    // No slash at the end: for some storages that is another folder.
    ["runs:/0a1b2c", "s3://bucket/7/0a1b2c/artifacts"],
    ["runs:/0a1b2c/", "s3://bucket/7/0a1b2c/artifacts"],
  ])("follows %s to the run's artifacts", async (source, storageUri) => {
    const { locate } = setUp({ getDownloadUri: answers(source) });
    expect(await locate(modelVersion({ source }))).toEqual({ storageUri, experimentId: "7" });
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
    expect(await locate(version)).toMatchObject({ storageUri: "s3://bucket/m-1" });
  });

  it("serves a version whose run is gone, without an experiment", async () => {
    const { locate } = setUp();
    expect(await locate(modelVersion({ runId: "gone" }))).toEqual({ storageUri: "s3://bucket/iris", experimentId: "" });
  });

  it("fails when the run cannot be read, rather than take it for gone", async () => {
    const { locate } = setUp({ getRun: () => Promise.reject(new MlflowError("unexpected", "half an answer")) });
    expect(await rejectionOf(locate(modelVersion()))).toBeInstanceOf(MlflowError);
  });
});
