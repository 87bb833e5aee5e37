import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { waitFor } from "../support/waiting";
import { freePort } from "../testbed/ports";
import { applyTwice, copyExamples, EXAMPLES, installCustomResources, readmeCommands } from "./examples-support";
import { removeNamespaces, renderFolder } from "./examples-support";
import type { Rendered } from "./examples-support";

const FOLDER = path.join(EXAMPLES, "rolling-update");
const MINUTES = 60_000;

describe("in a cluster", () => {
  const copy = copyExamples();

  beforeAll(async () => {
    await removeNamespaces(copy, "iris-application");
    await installCustomResources(copy, "gateway", ["gateway.networking.k8s.io_httproutes"]);
  }, 5 * MINUTES);

  afterAll(async () => {
    await removeNamespaces(copy, "iris-application");
  }, 5 * MINUTES);

  it(
    "is accepted without a warning and unchanged by a second apply",
    async () => {
      for (const folder of [FOLDER, path.join(FOLDER, "v2"), path.join(FOLDER, "gateway")]) {
        expect(await applyTwice(copy, folder)).toEqual([]);
      }
      await removeNamespaces(copy, "iris-application");
    },
    5 * MINUTES,
  );

  it(
    "runs by the commands of its README: the pods pass the restricted Pod Security Standard and become ready",
    async () => {
      for (const block of readmeCommands(path.join(copy.root, FOLDER, "README.md"))) await copy.shell(block);

      expect(await copy.kubectl(["get", "namespace", "iris-application", "--ignore-not-found"])).toBe("");
    },
    10 * MINUTES,
  );
});

it("each version's Service, budget and autoscaler are about that version only", async () => {
  for (const version of ["v1", "v2"]) {
    const objects = await renderFolder(path.join(FOLDER, version));
    const find = (kind: string): Rendered | undefined => objects.find(object => object.kind === kind);
    const labels = { "app.kubernetes.io/name": "iris", "app.kubernetes.io/version": version };

    expect(find("Service")).toMatchObject({ metadata: { name: `iris-${version}` }, spec: { selector: labels } });
    expect(find("PodDisruptionBudget")).toMatchObject({ spec: { selector: { matchLabels: labels } } });
    expect(find("HorizontalPodAutoscaler")).toMatchObject({ spec: { scaleTargetRef: { name: `iris-${version}` } } });
    expect(find("Ingress")).toMatchObject({
      spec: { rules: [{ http: { paths: [{ backend: { service: { name: `iris-${version}` } } }] } }] },
    });
  }
});

// What it answers when a model answers needs a model server: k8s/examples/rolling-update/README.md has the command.
describe("the application, with no model", () => {
  let application: ChildProcess;
  let url: string;

  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const environment = { ...process.env, PORT: String(port), MODEL_URL: `http://127.0.0.1:${await freePort()}` };
    const program = path.join(FOLDER, "application", "application.py");
    application = spawn(inject("python"), [program], { env: environment, stdio: "ignore" });
    await waitFor("the application to listen", async () => (await fetch(`${url}/livez`)).ok || undefined);
  });

  afterAll(() => {
    application.kill("SIGKILL");
  });

  const measures = "sepal_length=5.1&sepal_width=3.5&petal_length=1.4&petal_width=0.2";

  it.each([
    ["/livez", 200],
    ["/readyz", 502],
    [`/species?${measures}`, 502],
    ["/species?sepal_length=5.1", 400],
    [`/species?${measures.replace("5.1", "long")}`, 400],
    [`/species?${measures.replace("5.1", "nan")}`, 400],
    ["/", 404],
  ])("answers %s with %d", async (pathname, status) => {
    expect((await fetch(url + pathname)).status).toBe(status);
  });

  it("ends by itself when Kubernetes asks it to", async () => {
    const ended = once(application, "exit");
    application.kill("SIGTERM");

    expect(await ended).toEqual([0, null]);
  });
});
