import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { gitOpsManifests } from "./manifests";
import type { Manifest } from "./manifests";

const base64 = (content: string | Buffer): string => Buffer.from(content).toString("base64");

function secret(name: string, data: Record<string, string>): Manifest {
  return { apiVersion: "v1", kind: "Secret", metadata: { name, namespace: "pepr-system" }, data };
}

/** As a build leaves them: what `at` says is different in each build. */
function built(at: string, code = "module.exports = 1", polling = "60"): Manifest[] {
  const volumes = ["tls", "api-path", "module"].map(name => ({
    name,
    secret: { secretName: `pepr-mlflow-kserve-${name}` },
  }));
  return [
    secret("pepr-mlflow-kserve-tls", { "tls.crt": base64(`certificate ${at}`), "tls.key": base64(`key ${at}`) }),
    secret("pepr-mlflow-kserve-api-path", { value: base64(`path ${at}`) }),
    // Another level of compression stands for another version of zlib.
    secret("pepr-mlflow-kserve-module", { "module.js.gz": base64(gzipSync(code, { level: at === "noon" ? 1 : 9 })) }),
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "mlflow-kserve-config" },
      data: { MLFLOW_KSERVE_POLLING_INTERVAL: polling },
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "pepr-mlflow-kserve" },
      spec: { template: { metadata: { annotations: { buildTimestamp: at } }, spec: { volumes } } },
    },
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingWebhookConfiguration",
      metadata: { name: "pepr-mlflow-kserve" },
      webhooks: [
        {
          clientConfig: { caBundle: base64(`authority ${at}`), service: { name: "x", path: `/validate/path ${at}` } },
          timeoutSeconds: 10,
        },
      ],
    },
  ];
}

const find = (manifests: readonly Manifest[], kind: string, name = "pepr-mlflow-kserve"): Manifest | undefined =>
  manifests.find(manifest => manifest.kind === kind && manifest.metadata.name === name);

describe("gitOpsManifests", () => {
  it("gives the same for two builds of the same", () => {
    expect(gitOpsManifests(built("noon"))).toEqual(gitOpsManifests(built("midnight")));
  });

  it("has nothing of what a build makes anew", () => {
    const text = JSON.stringify(gitOpsManifests(built("noon")));
    expect(text).not.toContain("noon");
    for (const made of ["key noon", "path noon", "authority noon"]) expect(text).not.toContain(base64(made));
  });

  it("has no Secret, and mounts what is no secret from ConfigMaps", () => {
    const manifests = gitOpsManifests(built("noon"));
    expect(manifests.map(({ kind }) => kind)).not.toContain("Secret");
    expect(find(manifests, "Deployment")).toMatchObject({
      spec: {
        template: {
          spec: {
            volumes: [
              { secret: { secretName: "pepr-mlflow-kserve-tls" } },
              { configMap: { name: "pepr-mlflow-kserve-api-path" } },
              { configMap: { name: "pepr-mlflow-kserve-module" } },
            ],
          },
        },
      },
    });
  });

  it("leads admission to the path that the pods know", () => {
    const manifests = gitOpsManifests(built("noon"));
    const { data } = find(manifests, "ConfigMap", "pepr-mlflow-kserve-api-path") as unknown as {
      data: { value: string };
    };
    expect(find(manifests, "ValidatingWebhookConfiguration")).toMatchObject({
      webhooks: [{ clientConfig: { service: { path: `/validate/${data.value}` } } }],
    });
  });

  it("has the certificate made in the cluster, or names the authority that it is given", () => {
    const made = gitOpsManifests(built("noon"));
    expect(find(made, "Certificate", "pepr-mlflow-kserve-tls")).toMatchObject({
      spec: { secretName: "pepr-mlflow-kserve-tls" },
    });
    expect(find(made, "ValidatingWebhookConfiguration")?.metadata.annotations).toEqual({
      "cert-manager.io/inject-ca-from": "pepr-system/pepr-mlflow-kserve-tls",
    });

    const given = gitOpsManifests(built("noon"), "authority");
    expect(given.map(({ kind }) => kind)).not.toContain("Certificate");
    expect(find(given, "ValidatingWebhookConfiguration")).toMatchObject({
      webhooks: [{ clientConfig: { caBundle: base64("authority") } }],
    });
  });

  it.each([
    { what: "the module changes", other: built("noon", "module.exports = 2") },
    { what: "a setting changes", other: built("noon", "module.exports = 1", "30") },
  ])("starts the pods anew when $what", ({ other }) => {
    const annotations = (manifests: readonly Manifest[]): unknown =>
      (find(manifests, "Deployment")?.spec as { template: { metadata: unknown } }).template.metadata;
    expect(annotations(gitOpsManifests(other))).not.toEqual(annotations(gitOpsManifests(built("noon"))));
  });

  it("refuses a Secret that is not Pepr's, and what is no overlay of ours", () => {
    const others = secret("mlflow-webhook-secret", {});
    expect(() => gitOpsManifests([...built("noon"), others])).toThrow(/mlflow-webhook-secret does not belong/);
    expect(() => gitOpsManifests([others])).toThrow(/There is no Secret pepr-mlflow-kserve-module/);
  });
});
