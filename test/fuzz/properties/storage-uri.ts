import assert from "node:assert/strict";
import fc from "fast-check";
import { resolveStorageUri, storageUriBaseProblem } from "../../../capabilities/mlflow/storage-uri";
import { hostileText } from "../../arbitraries";
import { fuzzProperty } from "../fuzz-property";

const BASE = { storageUriBase: "s3://bucket/prefix" };
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

const BEGINNINGS = [
  "",
  "mlflow-artifacts:/",
  "mlflow-artifacts://",
  "runs:/",
  "models:/",
  "s3://",
  "gs://",
  "wasbs://c@account.blob.core.windows.net/",
  "http://host/api/2.0/mlflow-artifacts/artifacts/",
  "https://user:password@host/",
  "file:",
] as const;

/** What MLflow could have as a version's source, often with a beginning that means something. */
export function versionSource(): fc.Arbitrary<string> {
  const path = fc
    .array(fc.oneof(hostileText(), fc.constantFrom("..", "%2e%2e", "%252e.", ".", "", "\\..", "a")), { maxLength: 4 })
    .map(segments => segments.join("/"));
  return fc.tuple(fc.constantFrom(...BEGINNINGS), path).map(([beginning, rest]) => beginning + rest);
}

export const sourceIsResolved = fuzzProperty(
  "any source is answered in one printable line, and never with a path outside of the base",
  versionSource(),
  source => {
    const resolution = resolveStorageUri(source, BASE);
    if (resolution.kind === "refused" || resolution.kind === "not allowed") {
      assert.doesNotMatch(resolution.reason, UNPRINTABLE);
      assert.ok(!resolution.reason.includes("user:password"));
    }
    if (resolution.kind !== "ready") return;
    assert.doesNotMatch(resolution.uri, /\p{Cc}/u);
    if (source.startsWith("mlflow") || source.startsWith("http://host/api")) {
      assert.match(resolution.uri, /^s3:\/\/bucket\/prefix\/[^/]/);
      assert.ok(!resolution.uri.split("/").includes(".."));
    }
    if (source.startsWith("s3://")) assert.ok([source, `${source}/`].includes(resolution.uri));
    // What an S3 client takes for the prefix, as Python's urlparse finds it, ends with the folder.
    if (resolution.uri.startsWith("s3://")) assert.match(resolution.uri, /^s3:\/\/[^/?#]*(\/[^?#]*)?$/);
  },
);

export const baseIsChecked = fuzzProperty(
  "any base URI is taken or refused in one printable line",
  versionSource(),
  base => {
    assert.doesNotMatch(storageUriBaseProblem(base) ?? "", UNPRINTABLE);
  },
);
