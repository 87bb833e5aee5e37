import { asWholeFolder, isReadByPrefix } from "./storage-folder";

/** The question to MLflow that the next step of a resolution needs an answer to: another URI, to be resolved in turn. */
export type StorageLookup =
  /** The run's `artifact_uri`, with `/<path>` added when the path is not empty. */
  | { readonly of: "run"; readonly runId: string; readonly path: string }
  /** `model-versions/get-download-uri` of this version. */
  | { readonly of: "model-version"; readonly name: string; readonly version: string }
  /** The logged model's `artifact_uri`. */
  | { readonly of: "logged-model"; readonly modelId: string };

/** What is to be done about a model version's source. */
export type StorageResolution =
  /** KServe is given this URI. */
  | { readonly kind: "ready"; readonly uri: string }
  /** MLflow has to be asked. Its answer can need another question: the caller ends circles. */
  | { readonly kind: "lookup"; readonly ask: StorageLookup }
  /** KServe could not read it; one sentence with cause and cure, with credentials left out. */
  | { readonly kind: "refused"; readonly reason: string }
  /** KServe could read it, and the settings do not let it; a sentence as above. */
  | { readonly kind: "not allowed"; readonly reason: string };

export interface StorageSettings {
  /** Where MLflow's artifact proxy keeps its artifacts: the server's `--artifacts-destination`. */
  readonly storageUriBase?: string | undefined;
  /** What KServe may be given: these URIs and what is below them. Everything when there is none. */
  readonly allowedStorageUris?: readonly string[] | undefined;
}

// What KServe 0.20 reads: SupportedStorageURIPrefixList (inferenceservice/utils/utils.go), without file://, which would
// be a path in the predictor's own container; and Azure's two, which have another name for the same place (see azure).
const READABLE = new Set("gs s3 wasbs abfss hdfs webhdfs https http pvc hf oci oci+native".split(" "));

const USE_OBJECT_STORAGE =
  "keep MLflow's artifacts in object storage (mlflow server --serve-artifacts --artifacts-destination s3://… or " +
  "gs://…) and log the model again";

// Where MLflow's server serves the artifacts of `mlflow-artifacts:`, for URIs that spell the address out.
const ARTIFACT_SERVICE = "/api/2.0/mlflow-artifacts/artifacts/";

const RUN_ID = /^[a-zA-Z0-9][\w-]{0,255}$/; // mlflow/utils/validation.py, _RUN_ID_REGEX

/**
 * Decides what KServe's storage initializer is to read for a model version's `source`. A URI of a storage that KServe
 * knows passes as it is, but for its scheme in lower case (KServe compares it exactly, MLflow does not), Azure's (see
 * {@link azure}), and the slash that ends a folder (see {@link asWholeFolder}). Percent signs and spaces stay as MLflow
 * has them: neither MLflow nor KServe decodes the paths of object storage.
 *
 * `mlflow-artifacts:` is MLflow's own proxy, which KServe cannot read: the path is appended to the base. A host in such a
 * URI is dropped, so all artifacts are taken to be in the one destination that the base names.
 */
export function resolveStorageUri(source: string, settings: StorageSettings): StorageResolution {
  const resolution = resolveAnywhere(source, settings);
  if (resolution.kind !== "ready") return resolution;
  const folder = asWholeFolder(resolution.uri);
  const uri = folder.uri ?? resolution.uri;
  const { allowedStorageUris: allowed = [] } = settings;
  if (allowed.length > 0 && !isBelowOneOf(allowed, uri)) {
    const cure = "register the version from there, or have the administrator of the module allow its storage";
    const cause = "is not below any of MLFLOW_KSERVE_ALLOWED_STORAGE_URIS";
    return { kind: "not allowed", reason: sentence(source, cause, cure) };
  }
  return folder.uri === undefined ? refuse(source, folder.cause, folder.cure) : { kind: "ready", uri };
}

/**
 * What is wrong with a URI to allow (see {@link StorageSettings}): one sentence with cause and cure, or undefined when all
 * is well.
 */
export function allowedStorageUriProblem(allowed: string): string | undefined {
  const [, scheme = "", place = ""] = /^([a-z][a-z0-9+.-]*):\/\/([^\s?#]+)$/.exec(allowed) ?? [];
  const isAzure = scheme === "wasbs" || scheme === "abfss";
  if (READABLE.has(scheme) && !isAzure && /^[^/]/.test(place) && !climbs(place)) return undefined;
  return (
    `${printable(allowed)} is no storage that KServe reads: ` +
    "write it as KServe is given it, like s3://bucket/folder, pvc://claim or https://account.blob.core.windows.net/container"
  );
}

/**
 * A name that goes on is another one: s3://bucket/models is not above s3://bucket/models-of-others. Nor is it above what
 * KServe reads with s3://bucket/models, which is both.
 */
function isBelowOneOf(allowed: readonly string[], uri: string): boolean {
  if (climbs(uri)) return false;
  return allowed.some(one => {
    const folder = one.replace(/\/+$/, "");
    return uri.startsWith(`${folder}/`) || (uri === folder && !isReadByPrefix(uri));
  });
}

function resolveAnywhere(source: string, settings: StorageSettings): StorageResolution {
  // Python's urllib, on MLflow's and on KServe's side, silently drops some of these and so would read another path.
  if (/\p{Cc}/u.test(source)) {
    return refuse(source, "has control characters in it", "register the version with a source without them");
  }
  if (source.trim() === "") {
    return { kind: "refused", reason: "The version has no source: register it from a logged model or a storage URI" };
  }
  const [, writtenScheme = "", rest = ""] = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/.exec(source) ?? [];
  const scheme = writtenScheme.toLowerCase();
  // One letter is a Windows drive.
  if (scheme.length < 2) return refuse(source, "is a path in a file system that KServe cannot see", USE_OBJECT_STORAGE);
  switch (scheme) {
    case "mlflow-artifacts":
      return onBase(source, rest.replace(/^\/\/[^/]*/, ""), settings);
    case "runs":
      return runLookup(source, rest);
    case "models":
      return modelLookup(source, rest);
    case "file":
      return refuse(source, "is on a file system that KServe cannot see", USE_OBJECT_STORAGE);
    case "dbfs":
      return refuse(
        source,
        "is on Databricks' file system, which KServe cannot read",
        "copy the model to object storage and register a version from there",
      );
    default:
      if (!READABLE.has(scheme)) {
        return refuse(source, `has the scheme ${scheme}:, which KServe cannot read`, USE_OBJECT_STORAGE);
      }
      return readable(source, scheme, rest, settings);
  }
}

/**
 * What is wrong with a base URI (see {@link StorageSettings}): one sentence with cause and cure for the settings'
 * validation, or undefined when all is well.
 */
export function storageUriBaseProblem(base: string): string | undefined {
  const [, scheme = "", place = ""] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^\s?#]+)$/.exec(base) ?? [];
  if (READABLE.has(scheme.toLowerCase()) && /^[^/]/.test(place) && !climbs(place)) return undefined;
  return (
    `${printable(base)} is no storage that KServe can read: ` +
    "give the --artifacts-destination of the MLflow server, like s3://bucket/prefix or gs://bucket"
  );
}

function readable(source: string, scheme: string, rest: string, settings: StorageSettings): StorageResolution {
  if (!/^\/\/[^/]/.test(rest)) {
    return refuse(source, "names no bucket or host", `write it like ${scheme}://bucket/path, with two slashes`);
  }
  if (scheme === "http" || scheme === "https") {
    const at = rest.indexOf(ARTIFACT_SERVICE);
    // The long way to write mlflow-artifacts: a folder of MLflow's proxy, of which an HTTP download gets nothing.
    if (at >= 0) return onBase(source, rest.slice(at + ARTIFACT_SERVICE.length), settings);
  }
  return ready(scheme, rest);
}

function ready(scheme: string, rest: string): StorageResolution {
  return { kind: "ready", uri: azure(scheme, rest) ?? `${scheme}:${rest}` };
}

/**
 * The https name of what `wasbs://<container>@<account>.blob.core.windows.net/<path>` or the same as abfss names. MLflow
 * writes the one form, KServe 0.20 reads only the other: with the first an InferenceService stays Unknown for ever,
 * without a message. Hosts of other clouds pass as they are, for a ClusterStorageContainer that knows them.
 */
function azure(scheme: string, rest: string): string | undefined {
  if (scheme !== "wasbs" && scheme !== "abfss") return undefined;
  const [, container, account, path] =
    /^\/\/([^/@:]+)@([a-z0-9]+)\.(?:blob|dfs)\.core\.windows\.net\/(.+)$/i.exec(rest) ?? [];
  if (container === undefined || account === undefined || path === undefined) return undefined;
  return `https://${account}.blob.core.windows.net/${container}/${path}`;
}

function onBase(source: string, path: string, settings: StorageSettings): StorageResolution {
  const base = settings.storageUriBase;
  if (!base) {
    return refuse(
      source,
      "is behind MLflow's artifact proxy, which KServe cannot read",
      "set MLFLOW_KSERVE_STORAGE_URI_BASE to the --artifacts-destination of the MLflow server, like s3://bucket/prefix",
    );
  }
  const problem = storageUriBaseProblem(base);
  if (problem !== undefined) return { kind: "refused", reason: `MLFLOW_KSERVE_STORAGE_URI_BASE: ${problem}` };
  if (climbs(path)) {
    return refuse(source, "leaves MLflow's artifacts with ..", "register the version with the path of its artifacts");
  }
  const folder = path.replace(/^\/+|\/+$/g, "");
  if (folder === "") {
    return refuse(source, "is all of MLflow's artifacts", "register the version with the path of its own artifacts");
  }
  const [, scheme = "", place = ""] = /^([^:]*):(.*)$/.exec(base) ?? [];
  return ready(scheme.toLowerCase(), `${place.replace(/\/+$/, "")}/${folder}`);
}

function runLookup(source: string, rest: string): StorageResolution {
  const [, runId = "", path = ""] = /^\/([^/]+)(?:\/(.*))?$/.exec(rest) ?? [];
  if (!RUN_ID.test(runId)) {
    return refuse(source, "names no run", "register the version from runs:/<run id>/<path of the model>");
  }
  if (climbs(path)) {
    return refuse(source, "leaves the run's artifacts with ..", "register the version with the path of the model");
  }
  return { kind: "lookup", ask: { of: "run", runId, path: path.replace(/^\/+|\/+$/g, "") } };
}

// The forms of mlflow/store/artifact/utils/models.py, _parse_model_uri. Stage, "latest" and alias mean another version
// tomorrow; MLflow's registry does not accept them as the source of a version either.
function modelLookup(source: string, rest: string): StorageResolution {
  const cure = "register the version from models:/<name>/<version> or models:/<model id>";
  const [, name = "", version] = /^\/([^/]+)(?:\/([^/]*))?$/.exec(rest) ?? [];
  if (name.trim() === "") return refuse(source, "names no model of this MLflow server", cure);
  if (version === undefined && !name.includes("@"))
    return { kind: "lookup", ask: { of: "logged-model", modelId: name } };
  if (version === undefined || !/^[0-9]+$/.test(version)) {
    return refuse(source, "names no fixed version of a model", cure);
  }
  return { kind: "lookup", ask: { of: "model-version", name, version } };
}

/** Whether a path has a `..` segment, also when written with percent signs (repeatedly, as MLflow checks) or backslashes. */
function climbs(path: string): boolean {
  let decoded = path;
  for (let before = ""; before !== decoded; ) {
    before = decoded;
    decoded = before.replace(/%([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(parseInt(code, 16)));
  }
  return decoded.split(/[/\\]/).includes("..");
}

function refuse(source: string, cause: string, cure: string): StorageResolution {
  return { kind: "refused", reason: sentence(source, cause, cure) };
}

function sentence(source: string, cause: string, cure: string): string {
  return `The version's source ${printable(source)} ${cause}: ${cure}`;
}

/** A URI for a message: on one line, not too long, without user, password and query (which may be a signature). What
 * stands before the @ of Azure's is the container. */
function printable(uri: string): string {
  const bare = uri.replace(/^((?!(?:wasb|abfs)s?:)[^/?#]*:\/\/)[^/?#]*@/i, "$1…@").replace(/[?#].*$/s, "?…");
  return JSON.stringify(bare.length > 200 ? `${bare.slice(0, 200)}…` : bare).replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    "…",
  );
}
