import { describe, expect, it } from "vitest";
import { baseIsChecked, sourceIsResolved } from "../../test/fuzz/properties/storage-uri";
import { allowedStorageUriProblem, resolveStorageUri, storageUriBaseProblem } from "./storage-uri";

const BASE = { storageUriBase: "s3://bucket/prefix" };

function reason(source: string, settings = BASE): string {
  const resolution = resolveStorageUri(source, settings);
  if (resolution.kind !== "refused") throw new Error(`${source} is ${resolution.kind}`);
  return resolution.reason;
}

describe("resolveStorageUri", () => {
  it.each([
    "gs://bucket/models/1",
    "s3://bucket/a b/ü/100%/a%20b/m-1/",
    "s3://bucket",
    "s3://bucket/models/1/model.tar.gz",
    "s3://bucket/models/1/model.joblib",
    "wasbs://container@account.blob.core.chinacloudapi.cn/models/1",
    "hdfs://namenode:8020/models/1",
    "webhdfs://namenode:50070/models/1",
    "https://account.blob.core.windows.net/container/1/models/m-0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a/artifacts",
    "https://account.blob.core.windows.net/container/1/models/m-0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a/artifacts?sv=1&sig=a%2Fb",
    "https://account.file.core.windows.net/share/models/1",
    "https://example.com/model.tar.gz?sv=1&sig=a%2Fb",
    "http://example.com/model.zip",
    "pvc://claim/models/1",
    "hf://organisation/model:revision",
    "oci://registry.example.com/model:1",
    "oci+native://registry.example.com/model:1",
  ])("passes %s as it is", uri => {
    expect(resolveStorageUri(uri, {})).toEqual({ kind: "ready", uri });
    expect(resolveStorageUri(uri, BASE)).toEqual({ kind: "ready", uri });
  });

  it.each([
    ["wasbs://container@account.blob.core.windows.net/1/models/m-0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a/artifacts", {}],
    ["abfss://container@account.dfs.core.windows.net/1/models/m-0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a/artifacts", {}],
    [
      "mlflow-artifacts:/1/models/m-0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a/artifacts",
      { storageUriBase: "wasbs://container@account.blob.core.windows.net" },
    ],
  ])("gives %s the https name that KServe reads", (source, settings) => {
    const uri = "https://account.blob.core.windows.net/container/1/models/m-0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a/artifacts";
    expect(resolveStorageUri(source, settings)).toEqual({ kind: "ready", uri });
  });

  it.each([
    ["s3://bucket/models/1", "s3://bucket/models/1/"],
    ["s3://bucket/models/v1.2", "s3://bucket/models/v1.2/"],
    ["s3://bucket/models/1/", "s3://bucket/models/1/"],
    ["s3://bucket/models//", "s3://bucket/models//"],
    ["s3://bucket/.zip", "s3://bucket/.zip/"],
    ["gs://bucket/models/1", "gs://bucket/models/1"],
  ])("ends %s where the folder ends: %s", (source, uri) => {
    expect(resolveStorageUri(source, {})).toEqual({ kind: "ready", uri });
  });

  it.each([
    "https://account.blob.core.windows.net/container/models/1",
    "https://account.blob.core.windows.net/container/models/1/",
    "https://account.z12.blob.storage.azure.net/container/models/1?sv=1&sig=secret",
    "https://account.blob.core.windows.net/container/m-0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a/artifacts-of-others",
    "https://account.blob.core.windows.net/container/1;x/m-0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a/artifacts",
    "https://account.blob.core.windows.net/container/models/1#/m-0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a/artifacts",
    "wasbs://container@account.blob.core.windows.net/models/1",
    "https://account.blob.core.windows.net/container/run/artifacts/model.zip",
  ])("refuses %s, of which KServe reads what begins with it", source => {
    expect(reason(source)).toContain(
      "KServe also downloads what lies beside it under longer names: log the model with",
    );
    expect(reason(source)).not.toContain("secret");
  });

  it("writes the scheme in lower case, as KServe compares it, and nothing else", () => {
    expect(resolveStorageUri("S3://Bucket/Path", {})).toEqual({ kind: "ready", uri: "s3://Bucket/Path/" });
  });

  it.each([
    ["mlflow-artifacts:/1/models/m-1/artifacts", "1/models/m-1/artifacts"],
    ["mlflow-artifacts://host:5000/1/models/m-1/artifacts", "1/models/m-1/artifacts"],
    ["mlflow-artifacts:///1/a", "1/a"],
    ["MLflow-Artifacts:/1/a/", "1/a"],
    ["mlflow-artifacts:1/a", "1/a"],
    ["mlflow-artifacts:/1/a b/%20/ü", "1/a b/%20/ü"],
    ["mlflow-artifacts:/1/..a/b..", "1/..a/b.."],
    ["http://mlflow:5000/api/2.0/mlflow-artifacts/artifacts/1/a", "1/a"],
    ["https://host/prefix/api/2.0/mlflow-artifacts/artifacts/1/a", "1/a"],
  ])("appends the path of %s to the base", (source, path) => {
    expect(resolveStorageUri(source, BASE)).toEqual({ kind: "ready", uri: `s3://bucket/prefix/${path}/` });
  });

  it.each(["s3://bucket/prefix", "s3://bucket/prefix/", "S3://bucket/prefix//"])("joins %s with one slash", base => {
    expect(resolveStorageUri("mlflow-artifacts:/1/a", { storageUriBase: base })).toEqual({
      kind: "ready",
      uri: "s3://bucket/prefix/1/a/",
    });
  });

  it("asks for the base when there is none", () => {
    for (const settings of [{}, { storageUriBase: undefined }, { storageUriBase: "" }]) {
      expect(resolveStorageUri("mlflow-artifacts:/1/a", settings)).toEqual({
        kind: "refused",
        reason:
          "The version's source \"mlflow-artifacts:/1/a\" is behind MLflow's artifact proxy, which KServe cannot read: " +
          "set MLFLOW_KSERVE_STORAGE_URI_BASE to the --artifacts-destination of the MLflow server, like s3://bucket/prefix",
      });
    }
  });

  it("refuses a base that KServe cannot read", () => {
    expect(reason("mlflow-artifacts:/1/a", { storageUriBase: "file:///artifacts" })).toMatch(
      /^MLFLOW_KSERVE_STORAGE_URI_BASE: "file:.*is no storage that KServe can read: give/,
    );
  });

  it.each([
    "mlflow-artifacts:/../secret",
    "mlflow-artifacts:/1/../../a",
    "mlflow-artifacts:/1/..",
    "mlflow-artifacts://host/1/%2e%2E/a",
    "mlflow-artifacts:/1/%252e%252e/a",
    "mlflow-artifacts:/1/.%2e%2fa",
    "mlflow-artifacts:/1/%2%65./a",
    "mlflow-artifacts:/1/..\\a",
    "mlflow-artifacts:/1%5c..%5ca",
    "http://mlflow/api/2.0/mlflow-artifacts/artifacts/../a",
    "runs:/0a1b/../../a",
    "runs:/0a1b/%2e%2e/a",
  ])("refuses %s, which leaves its folder", source => {
    expect(reason(source)).toMatch(/leaves .* with \.\.: register the version with the path of/);
  });

  it.each(["mlflow-artifacts:/", "mlflow-artifacts:", "mlflow-artifacts://host", "mlflow-artifacts://host//"])(
    "refuses %s, which is everything",
    source => {
      expect(reason(source)).toContain("is all of MLflow's artifacts");
    },
  );

  it.each([
    ["runs:/0a1b2c/model", { of: "run", runId: "0a1b2c", path: "model" }],
    ["runs:/0a1b2c/a b/ü%20", { of: "run", runId: "0a1b2c", path: "a b/ü%20" }],
    ["runs:/0a1b2c/", { of: "run", runId: "0a1b2c", path: "" }],
    ["runs:/0a1b2c", { of: "run", runId: "0a1b2c", path: "" }],
    ["models:/m-0a1b2c", { of: "logged-model", modelId: "m-0a1b2c" }],
    ["models:/iris/3", { of: "model-version", name: "iris", version: "3" }],
    ['models:/My model\'s "best" 模型%20/3', { of: "model-version", name: 'My model\'s "best" 模型%20', version: "3" }],
    ["models:/a@b/3", { of: "model-version", name: "a@b", version: "3" }],
  ])("asks MLflow about %s", (source, ask) => {
    expect(resolveStorageUri(source, {})).toEqual({ kind: "lookup", ask });
  });

  it.each([
    ["runs:/", "names no run"],
    ["runs:", "names no run"],
    ["runs:/../x", "names no run"],
    ["runs://profile@databricks/0a1b/model", "names no run"],
    ["models:/", "names no model of this MLflow server"],
    ["models:/ /3", "names no model of this MLflow server"],
    ["models://profile@databricks/iris/3", "names no model of this MLflow server"],
    ["models:/iris/3/extra", "names no model of this MLflow server"],
    ["models:/iris/Production", "names no fixed version of a model"],
    ["models:/iris/latest", "names no fixed version of a model"],
    ["models:/iris/", "names no fixed version of a model"],
    ["models:/iris@champion", "names no fixed version of a model"],
    ["file:/mlruns/1/model", "is on a file system that KServe cannot see"],
    ["file:///mlruns/1/model", "is on a file system that KServe cannot see"],
    ["FILE:///C:/mlruns", "is on a file system that KServe cannot see"],
    ["/mlruns/1/model", "is a path in a file system that KServe cannot see"],
    ["./mlruns/1/model", "is a path in a file system that KServe cannot see"],
    ["mlruns", "is a path in a file system that KServe cannot see"],
    ["C:\\mlruns\\1", "is a path in a file system that KServe cannot see"],
    ["c:/mlruns/1", "is a path in a file system that KServe cannot see"],
    ["\\\\server\\share", "is a path in a file system that KServe cannot see"],
    [" s3://bucket/a", "is a path in a file system that KServe cannot see"],
    ["dbfs:/models/1", "is on Databricks' file system, which KServe cannot read"],
    ["r2://bucket/a", "has the scheme r2:, which KServe cannot read"],
    ["sftp://host/a", "has the scheme sftp:, which KServe cannot read"],
    ["s3://bucket/a?b", "has a ? or # in it, where KServe's S3 client stops reading"],
    ["s3://bucket/team#/x", "has a ? or # in it, where KServe's S3 client stops reading"],
    ["s3:/bucket/a", "names no bucket or host: write it like s3://bucket/path"],
    ["s3://", "names no bucket or host"],
    ["gs:///a", "names no bucket or host"],
    ["s3://bucket/a\nb", "has control characters in it"],
    ["s3://bucket/a\tb", "has control characters in it"],
    ["s3://bucket/\u0000", "has control characters in it"],
  ])("refuses %j: %s", (source, cause) => {
    expect(reason(source)).toContain(cause);
    expect(reason(source)).toMatch(/: [a-z]/);
  });

  it.each(["", " ", "  \u00a0"])("refuses the empty source %j", source => {
    expect(reason(source)).toBe("The version has no source: register it from a logged model or a storage URI");
  });

  it("shows no credentials in a refusal", () => {
    const refused = reason("sftp://user:secret@host/a?token=secret#secret");
    expect(refused).toContain('"sftp://…@host/a?…"');
    expect(refused).not.toContain("secret");
    expect(storageUriBaseProblem("ftp://user:p@ss@host/a")).not.toContain("ss@");
  });

  it(sourceIsResolved.name, () => sourceIsResolved.assert({ numRuns: 1000 }));
});

describe("storageUriBaseProblem", () => {
  it(baseIsChecked.name, () => baseIsChecked.assert({ numRuns: 300 }));

  it.each([
    "s3://bucket",
    "gs://bucket/prefix/",
    "wasbs://c@a.blob.core.windows.net/p",
    "hdfs://n:8020/p",
    "pvc://claim",
  ])("accepts %s", base => {
    expect(storageUriBaseProblem(base)).toBeUndefined();
  });

  it.each([
    "",
    "bucket",
    "/artifacts",
    "file:///a",
    "s3:/bucket",
    "s3://",
    "s3:///a",
    "s3://b?x=1",
    "s3://b/../c",
    "s3://b c",
  ])("refuses %j", base => {
    expect(storageUriBaseProblem(base)).toContain("give the --artifacts-destination of the MLflow server");
  });
});

describe("allowed storage URIs", () => {
  const resolve = (source: string, ...allowedStorageUris: string[]): ReturnType<typeof resolveStorageUri> =>
    resolveStorageUri(source, { ...BASE, allowedStorageUris });

  it.each([
    ["s3://models/iris/1", ["s3://models"]],
    ["s3://models/iris/1", ["gs://other", "s3://models/iris/"]],
    ["s3://models", ["s3://models"]],
    ["S3://models/a", ["s3://models"]],
    ["mlflow-artifacts:/1/a", ["s3://bucket/prefix"]],
    [
      "wasbs://c@account.blob.core.windows.net/m-0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a/artifacts",
      ["https://account.blob.core.windows.net/c"],
    ],
    ["s3://models/team-a", ["s3://models/team-a"]],
    ["s3://models/team-a/model.zip", ["s3://models/team-a"]],
    ["hdfs://models/team-a", ["hdfs://models/team-a"]],
  ])("let %s pass below %j", (source, allowed) => {
    expect(resolve(source, ...allowed)).toMatchObject({ kind: "ready" });
  });

  it.each([
    ["s3://models-of-others/a", ["s3://models"]],
    // As one file, KServe reads models.zip-of-others as well.
    ["s3://models/team-a.zip", ["s3://models/team-a.zip"]],
    ["wasbs://c@account.blob.core.windows.net/m", ["https://account.blob.core.windows.net/others"]],
    ["s3://models/../others/a", ["s3://models"]],
    ["s3://models/%2e%2e/others/a", ["s3://models"]],
    ["s3://models@others/a", ["s3://models"]],
    ["gs://models/a", ["s3://models"]],
    ["s3://Models/a", ["s3://models"]],
    ["mlflow-artifacts:/1/a", ["s3://models"]],
    ["https://example.com/m", ["s3://models"]],
    ["pvc://claim/m", ["s3://models"]],
  ])("refuse %s below %j", (source, allowed) => {
    const resolution = resolve(source, ...allowed);
    expect(resolution.kind).toBe("not allowed");
    expect(JSON.stringify(resolution)).toContain("is not below any of MLFLOW_KSERVE_ALLOWED_STORAGE_URIS");
  });

  it("are everything when there is none", () => {
    expect(resolve("https://example.com/m")).toMatchObject({ kind: "ready" });
  });

  it("still need what only MLflow knows", () => {
    expect(resolve("models:/m-1", "s3://models")).toMatchObject({ kind: "lookup" });
  });

  it.each([
    "s3://models",
    "gs://models/a/",
    "pvc://claim",
    "https://account.blob.core.windows.net/c",
    "oci://registry/a",
  ])("may be %s", allowed => {
    expect(allowedStorageUriProblem(allowed)).toBeUndefined();
  });

  it.each([
    "",
    "models",
    "s3:/models",
    "S3://models",
    "s3://",
    "file:///a",
    "s3://a/../b",
    "s3://a?b",
    "wasbs://c@a.blob.core.windows.net",
  ])("may not be %j", allowed => {
    expect(allowedStorageUriProblem(allowed)).toContain("write it as KServe is given it");
  });
});
