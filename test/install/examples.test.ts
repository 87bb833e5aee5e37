import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { EXAMPLES, exampleFolders, filesBelow, renderFolder } from "./examples-support";
import type { Rendered } from "./examples-support";

interface Resources {
  readonly cpu?: string;
  readonly memory?: string;
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly resources?: { readonly requests?: Resources; readonly limits?: Resources };
  readonly securityContext?: Record<string, unknown>;
  readonly readinessProbe?: unknown;
  readonly livenessProbe?: unknown;
}

/** Everything in an object that looks like a container, wherever it is: in a pod, a runtime, a workflow's step. */
function containersOf(value: unknown): Container[] {
  if (Array.isArray(value)) return value.flatMap(containersOf);
  if (typeof value !== "object" || value === null) return [];
  const own = "image" in value ? [value as Container] : [];
  return [...own, ...Object.values(value).flatMap(containersOf)];
}

/** The images that a template of the module names. */
function templateContainers(file: string): string[] {
  return [...readFileSync(file, "utf8").matchAll(/^\s*-?\s*image: (.*)$/gm)].map(([, image = ""]) => image);
}

// A registry, a repository, and a tag that begins with a version: `latest` and branches do not.
const PINNED = /^[a-z0-9.-]+\.[a-z]+(\/[a-z0-9._-]+)+:v?\d+(\.\d+)+[\w.-]*$/;
const LONG_RUNNING = ["Deployment", "StatefulSet", "ServingRuntime"];

describe.each(exampleFolders())("%s", folder => {
  it("is rendered by kubectl, with every image pinned and every container bounded and unprivileged", async () => {
    const objects = await renderFolder(folder);

    expect(objects).not.toHaveLength(0);
    for (const object of objects) expectGoodContainers(object);
  });

  it("has no Secret: those are made by commands", async () => {
    const kinds = (await renderFolder(folder)).map(({ kind }) => kind);

    expect(kinds).not.toContain("Secret");
  });
});

function expectGoodContainers(object: Rendered): void {
  for (const container of containersOf(object)) {
    const about = `${object.kind} ${object.metadata.name ?? ""}, container ${container.name}`;
    expect(container.image, about).toMatch(PINNED);
    const { requests, limits } = container.resources ?? {};
    for (const bound of [requests?.cpu, requests?.memory, limits?.memory]) expect(bound, about).toBeDefined();
    expect(container.securityContext, about).toMatchObject({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
    });
  }
  if (!LONG_RUNNING.includes(object.kind)) return;
  const { initContainers = [] } = podOf(object);
  for (const container of containersOf(object).filter(({ name }) => !initContainers.some(init => init.name === name))) {
    expect(container.readinessProbe, object.metadata.name).toBeDefined();
    expect(container.livenessProbe, object.metadata.name).toBeDefined();
  }
}

function podOf(object: Rendered): { initContainers?: Container[] } {
  const spec = object.spec as { template?: { spec: { initContainers?: Container[] } } };
  return spec.template?.spec ?? {};
}

describe("the examples", () => {
  it("have a README in each", () => {
    const readmes = filesBelow(EXAMPLES).filter(file => path.basename(file) === "README.md");

    expect(readmes.map(file => path.relative(EXAMPLES, file)).sort()).toEqual([
      "README.md",
      "gitops/README.md",
      "kserve/README.md",
      "mlflow/README.md",
      "rolling-update/README.md",
      "training/README.md",
    ]);
  });

  it("pin the images of templates too", () => {
    const images = filesBelow(EXAMPLES)
      .filter(file => file.endsWith(".txt"))
      .flatMap(templateContainers);

    expect(images).not.toHaveLength(0);
    for (const image of images) expect(image).toMatch(PINNED);
  });

  it("name no image by latest", () => {
    for (const file of filesBelow(EXAMPLES)) expect(readFileSync(file, "utf8"), file).not.toMatch(/:latest\b/);
  });
});
