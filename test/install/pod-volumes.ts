import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { V1ConfigMap, V1KeyToPath, V1Pod, V1Secret, V1Volume, V1VolumeProjection } from "@kubernetes/client-node";
import type { Kubectl } from "../testbed/kubectl";

type Files = Readonly<Record<string, Buffer>>;

/** What a pod's environment and volumes are made of. */
export interface PodSources {
  readonly configMap: (name: string) => Promise<Files>;
  readonly secret: (name: string) => Promise<Files>;
  /** A token of the pod's ServiceAccount, bound to the pod, as the kubelet asks for it. */
  readonly token: (seconds: number) => Promise<Buffer>;
  /** A field of the pod itself, such as metadata.namespace. */
  readonly field: (fieldPath: string) => string;
}

export function podSources(kubectl: Kubectl, pod: V1Pod): PodSources {
  const { name = "", namespace = "", uid = "" } = pod.metadata ?? {};
  const get = async (kind: string, which: string): Promise<unknown> =>
    JSON.parse(await kubectl(["get", kind, which, "--namespace", namespace, "--output=json"])) as unknown;
  const decoded = (data: Readonly<Record<string, string>> = {}, encoding: BufferEncoding): Files =>
    Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, encoding)]));
  return {
    configMap: async which => {
      const { data, binaryData } = (await get("configmap", which)) as V1ConfigMap;
      return { ...decoded(data, "utf8"), ...decoded(binaryData, "base64") };
    },
    secret: async which => decoded(((await get("secret", which)) as V1Secret).data, "base64"),
    token: async seconds => {
      const account = pod.spec?.serviceAccountName ?? "default";
      const bound = ["--bound-object-kind=Pod", `--bound-object-name=${name}`, `--bound-object-uid=${uid}`];
      const duration = `--duration=${Math.max(seconds, 600)}s`;
      return Buffer.from(await kubectl(["create", "token", account, "--namespace", namespace, duration, ...bound]));
    },
    field: fieldPath => {
      const fields: Readonly<Record<string, string | undefined>> = {
        "metadata.name": name,
        "metadata.namespace": namespace,
        "metadata.uid": uid,
        "spec.nodeName": pod.spec?.nodeName,
        "spec.serviceAccountName": pod.spec?.serviceAccountName,
        "status.podIP": pod.status?.podIP,
      };
      const value = fields[fieldPath];
      if (value === undefined) throw new Error(`The pod ${name} has no ${fieldPath} that is known here`);
      return value;
    },
  };
}

/** Writes what is in a volume into a folder of its own. @throws Error for a kind of volume that is not known here */
export async function writeVolume(volume: V1Volume, sources: PodSources, directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const write = (files: Files, items?: readonly V1KeyToPath[]): void => {
    const chosen = items?.map(item => [item.path, files[item.key]] as const) ?? Object.entries(files);
    for (const [file, content] of chosen) {
      if (content === undefined) throw new Error(`The volume ${volume.name} lacks what is to be ${file}`);
      mkdirSync(path.dirname(path.join(directory, file)), { recursive: true });
      writeFileSync(path.join(directory, file), content);
    }
  };
  const project = async (projection: V1VolumeProjection): Promise<void> => {
    const { serviceAccountToken, configMap, secret, downwardAPI } = projection;
    if (serviceAccountToken) {
      write({ [serviceAccountToken.path]: await sources.token(serviceAccountToken.expirationSeconds ?? 3600) });
    }
    if (configMap) write(await sources.configMap(configMap.name ?? ""), configMap.items);
    if (secret) write(await sources.secret(secret.name ?? ""), secret.items);
    for (const { path: file, fieldRef } of downwardAPI?.items ?? []) {
      write({ [file]: Buffer.from(sources.field(fieldRef?.fieldPath ?? "")) });
    }
  };
  if (volume.secret) write(await sources.secret(volume.secret.secretName ?? ""), volume.secret.items);
  else if (volume.configMap) write(await sources.configMap(volume.configMap.name ?? ""), volume.configMap.items);
  else if (volume.projected) for (const source of volume.projected.sources ?? []) await project(source);
  else if (volume.emptyDir) chmodSync(directory, 0o777);
  else throw new Error(`The volume ${volume.name} is of a kind that is not known here`);
}
