import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { loadAll } from "js-yaml";
import { afterAll, beforeAll, expect, it } from "vitest";
import { customResourcesEstablished } from "../support/custom-resources";
import { moduleDirectory } from "../support/go-module-files";
import { run } from "../testbed/commands";
import { cleanEnvironment } from "../testbed/processes";
import type { InstallationCluster, InstalledObject } from "./installation-cluster";
import { EVERYTHING } from "./kustomize-suite";
import { createKustomizeWorkspace } from "./kustomize-workspace";
import type { KustomizeWorkspace } from "./kustomize-workspace";
import { ownImage } from "./dockerfile";
import { canPlayNode, startPod } from "./pod-process";
import { commandsBelow } from "./readme-commands";

const EXAMPLES = "k8s/examples/gitops";
const OPERATORS = [
  { module: "github.com/argoproj/argo-cd/v3", version: "v3.5.7", crds: "manifests/crds/application-crd.yaml" },
  {
    module: "github.com/fluxcd/kustomize-controller",
    version: "v1.9.6",
    crds: "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
  },
  {
    module: "github.com/fluxcd/source-controller",
    version: "v1.9.6",
    crds: "config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml",
  },
];

/** `npm run render`, by the commands of k8s/README.md. */
export function gitOpsSuite(theCluster: () => InstallationCluster): void {
  /** Built at another time: with another key, another path, another time stamp. */
  let other: KustomizeWorkspace;

  beforeAll(async () => {
    other = await createKustomizeWorkspace("second");
  }, 900_000);

  afterAll(() => {
    other.remove();
  });

  const render = async (workspace: KustomizeWorkspace, ...args: string[]): Promise<Record<string, string>> => {
    const tsx = [path.resolve("node_modules/tsx/dist/cli.mjs"), path.resolve("scripts/render.ts")];
    await run(process.execPath, [...tsx, ...args, "--output", "rendered"], {
      directory: workspace.directory,
      environment: { ...cleanEnvironment(), PATH: pathWith(theCluster().testbed.kubectl) },
    });
    const directory = path.join(workspace.directory, "rendered");
    const files = readdirSync(directory).sort();
    return Object.fromEntries(files.map(file => [file, readFileSync(path.join(directory, file), "utf8")]));
  };

  it("is the same for the same source, whoever builds it and when", async () => {
    const { workspace } = theCluster();
    for (const overlay of [
      () => "k8s/overlays/default",
      (of: KustomizeWorkspace) => path.relative(of.directory, of.mixing(EVERYTHING, ["target-namespace"])),
    ]) {
      const first = await render(workspace, overlay(workspace));
      expect(Object.keys(first).length).toBeGreaterThan(15);
      expect(await render(workspace, overlay(workspace))).toEqual(first);
      expect(await render(other, overlay(other))).toEqual(first);
    }
  }, 240_000);

  it("has no Secret and no private key, nor anything that a build made in secret", async () => {
    const { workspace } = theCluster();
    const files = await render(workspace, "k8s/overlays/default");
    const objects = Object.values(files).flatMap(text => loadAll(text) as InstalledObject[]);
    expect(objects.map(({ kind }) => kind)).not.toContain("Secret");

    const texts = Object.values(files).flatMap(text => [text, ...decoded(text)]);
    expect(texts.length).toBeGreaterThan(Object.keys(files).length);
    // The module's code has the names of such things, but none of them.
    for (const text of texts) expect(text).not.toMatch(/-----BEGIN [A-Z ]*PRIVATE KEY-----\r?\n[A-Za-z0-9+/]/);
    const built = readFileSync(path.join(workspace.directory, "dist/pepr-module-mlflow-kserve.yaml"), "utf8");
    const secrets = (loadAll(built) as (InstalledObject & { data?: Record<string, string> })[])
      .filter(({ kind, metadata }) => kind === "Secret" && !metadata.name.endsWith("-module"))
      .flatMap(({ data }) => Object.values(data ?? {}));
    expect(secrets).toHaveLength(3);
    for (const secret of secrets) {
      for (const text of texts) {
        expect(text.includes(secret) || text.includes(Buffer.from(secret, "base64").toString())).toBe(false);
      }
    }
  }, 120_000);

  it("refuses an overlay with a Secret, and a folder with something else in it", async () => {
    const { directory } = other;
    const overlay = other.mixing(["polling-only"], ["overlays/secret"]);
    await run(
      "sh",
      [
        "-c",
        "mkdir k8s/overlays/secret && cp k8s/base/secret.yaml.example k8s/overlays/secret/secret.yaml && echo 'resources: [secret.yaml]' > k8s/overlays/secret/kustomization.yaml",
      ],
      { directory },
    );
    await expect(render(other, path.relative(directory, overlay))).rejects.toThrow(
      /mlflow-webhook-secret does not belong/,
    );
    await run("sh", ["-c", "rm -rf rendered && mkdir rendered && touch rendered/precious"], { directory });
    await expect(render(other, "k8s/overlays/default")).rejects.toThrow(/files that were not rendered/);
    expect(readdirSync(path.join(directory, "rendered"))).toEqual(["precious"]);
  }, 120_000);

  it("is applied from its folder by the commands of k8s/README.md, twice with no change, and its pods run", async () => {
    const { kubectl, type, withWarnings, workspace, testbed } = theCluster();
    const blocks = commandsBelow("k8s/README.md", "GitOps");
    const [rendering = "", secret = "", certificate = "", renderingWithCertificate = ""] = blocks;
    expect(rendering).toBe("npm run render -- k8s/overlays/default --output ../deployments/mlflow-kserve\n");
    await type(secret);
    // cert-manager's controllers do not run here: with the certificate out of band, which needs none.
    await type(certificate);
    expect(renderingWithCertificate).toContain(" --ca-file ca.crt\n");
    // With the image of our Dockerfile, to see its pods run as well.
    const overlay = path.relative(workspace.directory, workspace.mixing(["own-image"]));
    await render(workspace, overlay, "--ca-file", "ca.crt");

    const folder = path.join(workspace.directory, "rendered");
    const applied = await withWarnings(["apply", "--server-side", "--force-conflicts", "-k", folder]);
    expect(applied.stderr.trim()).toBe("");
    await kubectl(["wait", "-n", "pepr-system", "deployment", "--all", "--for=condition=Available", "--timeout=180s"]);
    const difference = await withWarnings(["diff", "--server-side", "--force-conflicts", "-k", folder]);
    expect(difference.stdout).toBe("");

    if (canPlayNode()) {
      const server = await kubectl(["config", "view", "--raw", "--output=jsonpath={.clusters[0].cluster.server}"]);
      const pods = await kubectl([
        "get",
        "pods",
        "-n",
        "pepr-system",
        "-l",
        "pepr.dev/controller=admission",
        "-o",
        "json",
      ]);
      const [pod] = (JSON.parse(pods) as { items: Parameters<typeof startPod>[0]["pod"][] }).items;
      const started = await startPod({
        kubectl,
        pod: pod ?? {},
        image: ownImage(),
        apiServerPort: Number(new URL(server).port),
        outgoing: [Number(new URL(testbed.mlflowTrackingUri).port)],
        ports: [3000, 8000, 8081],
      });
      try {
        await started.ready();
      } finally {
        await started.stop();
      }
    }
    await kubectl(["delete", "-k", folder]);
  }, 300_000);

  it("is what the examples for Argo CD and Flux install", async () => {
    const { kubectl, type } = theCluster();
    for (const { module, version, crds } of OPERATORS) {
      const file = path.join(await moduleDirectory(module, version), crds);
      await kubectl(["apply", "--server-side", "-f", file]);
      await customResourcesEstablished(kubectl, ["-f", file]);
    }
    for (const namespace of ["argocd", "flux-system"]) {
      await kubectl(["create", "namespace", namespace]);
    }
    for (const block of commandsBelow(`${EXAMPLES}/README.md`, "")) {
      expect(await type(block)).not.toContain("Warning");
      for (const line of (await type(block)).trim().split("\n")) expect(line).toMatch(/ unchanged$/);
    }
  }, 240_000);
}

function pathWith(program: string): string {
  return [...(path.isAbsolute(program) ? [path.dirname(program)] : []), process.env.PATH ?? ""].join(":");
}

/** What long texts in base64 hold, unpacked where they are compressed. */
function decoded(text: string): string[] {
  return (text.match(/[A-Za-z0-9+/]{200,}={0,2}/g) ?? []).map(found => {
    const bytes = Buffer.from(found, "base64");
    return (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString("latin1");
  });
}
