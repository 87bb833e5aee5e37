import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import packageJson from "../../package.json";

/** A Kubernetes object, as far as it is changed here. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

interface PodTemplate {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly volumes?: readonly Volume[] };
}

interface Volume {
  readonly name: string;
  readonly secret?: { readonly secretName: string };
}

interface Webhook {
  readonly clientConfig: { readonly caBundle?: string; readonly service: { readonly path: string } };
}

const NAME = `pepr-${packageJson.pepr.uuid}`;
const NAMESPACE = "pepr-system";
const [TLS, API_PATH, MODULE] = [`${NAME}-tls`, `${NAME}-api-path`, `${NAME}-module`];
const SETTINGS = ["mlflow-kserve-config", "mlflow-kserve-template"];

/**
 * Makes of the manifests of a build what can be in a Git repository: no Secret, no key, and the same for the same source,
 * where each build of Pepr has a new key, path and time.
 *
 * - The certificate of the admission endpoint is made in the cluster by cert-manager, or stays a Secret that is applied out
 *   of band, when `ca` is given.
 * - The path of the admission endpoint is derived from the module. It is no secret then: it would have to be in the webhook
 *   configuration in any case, and what is behind it answers requests and changes nothing.
 * - The module's code is in a ConfigMap; it never was a secret.
 * - Pods start anew when the module or the settings change, not when somebody builds.
 *
 * @param manifests all objects of an overlay
 * @param ca the authority of the certificate (PEM), when the certificate is a Secret that somebody else applies
 * @throws Error when there is another Secret among them, or not what Pepr generates
 */
export function gitOpsManifests(manifests: readonly Manifest[], ca?: string): Manifest[] {
  const digest = digestOf(manifests);
  const settings = manifests.filter(({ kind, metadata }) => kind === "ConfigMap" && SETTINGS.includes(metadata.name));
  const checksums = {
    "checksum/module": digest,
    "checksum/settings": sha256(JSON.stringify(settings.map(({ data }) => data))),
  };
  const kept = manifests
    .filter(({ kind, metadata }) => kind !== "Secret" || metadata.name !== TLS)
    .map(manifest => {
      if (manifest.kind === "Secret") return withoutSecrecy(manifest, digest);
      if (manifest.kind === "Deployment") return deployment(manifest, checksums);
      return manifest.kind.endsWith("WebhookConfiguration") ? webhookConfiguration(manifest, digest, ca) : manifest;
    });
  return ca === undefined ? [...kept, ...certificate()] : kept;
}

function sha256(text: string | Buffer): string {
  return createHash("sha256").update(text).digest("hex");
}

function moduleCode({ data }: Manifest): [file: string, code: Buffer] {
  const [[file, encoded] = ["", ""]] = Object.entries(data as Record<string, string>);
  return [file, gunzipSync(Buffer.from(encoded, "base64"))];
}

function digestOf(manifests: readonly Manifest[]): string {
  const module = manifests.find(({ kind, metadata }) => kind === "Secret" && metadata.name === MODULE);
  if (module === undefined)
    throw new Error(`There is no Secret ${MODULE}: is this an overlay that builds on k8s/base?`);
  return sha256(moduleCode(module)[1]);
}

/** The ConfigMap instead of one of Pepr's Secrets. */
function withoutSecrecy(secret: Manifest, digest: string): Manifest {
  const { name } = secret.metadata;
  const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: NAMESPACE } };
  if (name === API_PATH) return { ...configMap, data: { value: digest } };
  if (name === MODULE) {
    const [file, code] = moduleCode(secret);
    return { ...configMap, binaryData: { [file]: gzipSync(code, { level: 9 }).toString("base64") } };
  }
  const cure = "take it out of the overlay, and apply it by itself or by a tool for secrets";
  throw new Error(`The Secret ${name} does not belong into a Git repository: ${cure}`);
}

function deployment(manifest: Manifest, checksums: Readonly<Record<string, string>>): Manifest {
  const spec = manifest.spec as { readonly template: PodTemplate };
  const { metadata, spec: pod } = spec.template;
  const volumes = pod.volumes?.map(volume => {
    const { secret, ...rest } = volume;
    const moved = secret !== undefined && [API_PATH, MODULE].includes(secret.secretName);
    return moved ? { ...rest, configMap: { name: secret.secretName } } : volume;
  });
  const { buildTimestamp, ...annotations } = metadata.annotations ?? {};
  if (buildTimestamp === undefined) return manifest;
  const template = {
    ...spec.template,
    metadata: { ...metadata, annotations: { ...annotations, ...checksums } },
    spec: { ...pod, volumes },
  };
  return { ...manifest, spec: { ...spec, template } };
}

function webhookConfiguration(manifest: Manifest, path: string, ca: string | undefined): Manifest {
  if (manifest.metadata.name !== NAME) return manifest;
  const injected = { ...manifest.metadata.annotations, "cert-manager.io/inject-ca-from": `${NAMESPACE}/${TLS}` };
  return {
    ...manifest,
    metadata: ca === undefined ? { ...manifest.metadata, annotations: injected } : manifest.metadata,
    webhooks: (manifest.webhooks as readonly Webhook[]).map(webhook => {
      const { caBundle: ofBuild, ...clientConfig } = webhook.clientConfig;
      if (ofBuild === undefined) throw new Error(`The webhook configuration ${NAME} has no certificate`);
      const service = {
        ...clientConfig.service,
        path: clientConfig.service.path.replace(/^\/(mutate|validate)\/.*/, `/$1/${path}`),
      };
      const caBundle = ca === undefined ? {} : { caBundle: Buffer.from(ca).toString("base64") };
      return { ...webhook, clientConfig: { ...clientConfig, ...caBundle, service } };
    }),
  };
}

/** Valid for ten years: Pepr reads it at the start of a pod only. */
function certificate(): Manifest[] {
  const metadata = { name: TLS, namespace: NAMESPACE };
  return [
    { apiVersion: "cert-manager.io/v1", kind: "Issuer", metadata, spec: { selfSigned: {} } },
    {
      apiVersion: "cert-manager.io/v1",
      kind: "Certificate",
      metadata,
      spec: {
        secretName: TLS,
        duration: "87600h",
        dnsNames: [`${NAME}.${NAMESPACE}.svc`, `${NAME}-watcher.${NAMESPACE}.svc`],
        usages: ["server auth"],
        privateKey: { algorithm: "RSA", size: 2048, rotationPolicy: "Never" },
        issuerRef: { group: "cert-manager.io", kind: "Issuer", name: TLS },
      },
    },
  ];
}
