/** What KServe is given for a folder; or why it cannot be made to read that folder alone, and what to do instead. */
export type WholeFolder =
  | { readonly uri: string }
  | { readonly uri?: undefined; readonly cause: string; readonly cure: string };

/**
 * What KServe 0.20 (`_AZURE_BLOB_RE` in kserve_storage.py) takes for Azure's blob storage: looked for anywhere in the URI,
 * with dots that stand for any character.
 */
const AZURE_BLOB = /https:\/\/(.+?).(blob.core.windows.net|z[0-9]{1,2}.blob.storage.azure.net)\/(.+)/;

/** A container as a whole, or the folder of one logged model of MLflow 3, beside which MLflow keeps nothing. */
const AZURE_ALONE = /^https:\/\/[^/?#;]+\/[^/?#;]+\/?(?:[^?#;]*\/m-[0-9a-f]{32}\/artifacts\/?)?(?:\?[^#]*)?$/;

/**
 * Names that are files: archives, which KServe unpacks, and the files that its own runtimes look for. With a slash
 * nothing would be found of them. A folder of such a name is read as before, with what begins with its name.
 */
const FILE =
  /[^/]\.(?:tar|tar\.(?:gz|bz2|xz)|tgz|zip|joblib|pkl|pickle|bst|ubj|onnx|pmml|pt|pth|mar|h5|keras|gguf|safetensors)$/i;

/**
 * Makes what KServe is given end where the folder ends. Its downloaders differ in what they take for the folder `models/x`
 * (kserve_storage.py, 0.15 to 0.20):
 * - S3: every object whose key begins with `models/x`, so that `models/x-old/…` comes along, renamed to `-old/…`. A slash
 *   at the end is kept, and ends it. Of a single file the object with exactly that key is taken alone.
 * - Google Cloud Storage: a missing slash is added; for a file that is there without one, the file is taken.
 * - Azure blobs: as S3, but slashes at the end are stripped, so that nothing ends it; and what comes along gets names
 *   that no filter can tell from the folder's own. Only a folder that has nothing beside it is safe.
 * - HDFS, Azure file shares, volumes: real folders. Hugging Face and OCI: a repository or an image. HTTP: one file.
 *
 * In S3's and Azure's URIs Python's urlparse takes `?`, `#` (in Azure's also `;`) for the end of the path.
 */
export function asWholeFolder(uri: string): WholeFolder {
  if (uri.startsWith("s3://")) {
    if (/[?#]/.test(uri)) {
      return { cause: "has a ? or # in it, where KServe's S3 client stops reading", cure: "register it without them" };
    }
    return { uri: isReadByPrefix(uri) && !FILE.test(uri) ? `${uri}/` : uri };
  }
  if (AZURE_BLOB.test(uri) && !AZURE_ALONE.test(uri)) {
    return {
      cause:
        "is a folder in Azure's blob storage of which KServe also downloads what lies beside it under longer names",
      cure:
        "log the model with MLflow 3, which gives it a folder of its own (…/models/m-…/artifacts), or keep it in " +
        "another storage",
    };
  }
  return { uri };
}

/** Whether KServe reads everything that begins with a URI, and not only what is in the folder that it names. */
export function isReadByPrefix(uri: string): boolean {
  return /^s3:\/\/[^/]+\/.*[^/]$/s.test(uri);
}
