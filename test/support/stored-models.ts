/** Files in MLflow's storage, as anybody writes them who may: by MLflow's artifact proxy. */
export interface StoredModels {
  /** Writes a file. */
  readonly put: (path: string, content: string | Uint8Array<ArrayBuffer>) => Promise<void>;
  /** Copies a folder with all that is in it. */
  readonly copy: (from: string, to: string) => Promise<void>;
  /** The folder of a version's artifacts, without a slash at its end. */
  readonly folderOf: (model: string, version: string) => Promise<string>;
}

/** @param mlflowTrackingUri an MLflow that serves artifacts (`--serve-artifacts`) */
export function openStorage(mlflowTrackingUri: string): StoredModels {
  const service = `${mlflowTrackingUri}/api/2.0/mlflow-artifacts/artifacts`;
  const ask = async (url: string, init?: RequestInit): Promise<Response> => {
    const response = await fetch(url, init);
    if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
    return response;
  };
  const put: StoredModels["put"] = async (path, content) => {
    await ask(`${service}/${path}`, { method: "PUT", body: content });
  };
  const copy: StoredModels["copy"] = async (from, to) => {
    const listed = await ask(`${service}?path=${encodeURIComponent(from)}`);
    const { files = [] } = (await listed.json()) as { files?: readonly { path: string; is_dir: boolean }[] };
    for (const { path, is_dir: isFolder } of files) {
      if (isFolder) await copy(`${from}/${path}`, `${to}/${path}`);
      else {
        const file = await ask(`${service}/${from}/${path}`);
        await put(`${to}/${path}`, new Uint8Array(await file.arrayBuffer()));
      }
    }
  };
  return {
    put,
    copy,
    async folderOf(model, version) {
      const query = new URLSearchParams({ name: model, version });
      const answer = await ask(
        `${mlflowTrackingUri}/api/2.0/mlflow/model-versions/get-download-uri?${query.toString()}`,
      );
      const { artifact_uri: uri } = (await answer.json()) as { artifact_uri: string };
      return uri.replace(/^mlflow-artifacts:\/+/, "");
    },
  };
}
