import { afterEach, describe, expect, inject, it } from "vitest";
import { createMlflowReader } from "../../capabilities/mlflow/client";
import { createMlflowTransport } from "../../capabilities/mlflow/transport";
import { formatKey } from "../../capabilities/support/model-version-key";
import { startListener, uniqueModel } from "../support/listener-fixture";
import type { RunningListener } from "../support/listener-fixture";
import { listManaged } from "../support/managed-services";
import { openRegistry } from "../support/mlflow-registry";
import type { MlflowRegistry } from "../support/mlflow-registry";
import { startTamperingProxy } from "../support/tampering-proxy";
import type { TamperingProxy } from "../support/tampering-proxy";
import { startMlflow } from "../testbed";
import type { MlflowServer } from "../testbed";
import { testKubectl } from "../testbed/namespaces";

interface Deployed extends RunningListener {
  readonly registry: MlflowRegistry;
  /** Between the module and MLflow, to change answers. */
  readonly proxy: TamperingProxy;
  /** The tag that deploys here: a poll sees all of MLflow, and the tests share one. */
  readonly tag: string;
  /** Names of the two services. */
  readonly names: readonly string[];
}

const cleanUp: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const clean of cleanUp.splice(0)) await clean();
});

/** A module with two deployed versions, which a fault must not take down. */
async function deployTwo(trackingUri = inject("mlflowTrackingUri")): Promise<Deployed> {
  const registry = openRegistry(trackingUri);
  const proxy = await startTamperingProxy(trackingUri);
  cleanUp.push(proxy.close);
  const tag = uniqueModel("deploy");
  const running = await startListener({ mlflowTrackingUri: proxy.url, settings: { DEPLOY_TAG_KEY: tag } });
  const names: string[] = [];
  for (const about of ["one", "two"]) {
    const key = await registry.register(uniqueModel(about), "s3://models/x", { [tag]: "true" });
    names.push(`mlflow-${key.model}-v1`);
  }
  expect(await running.listener.poll()).toMatchObject({ tagged: 2, managed: 0, created: 2, failed: 0 });
  await running.listener.idle();
  return { ...running, registry, proxy, tag, names: names.sort() };
}

/** An MLflow that a test may kill. */
async function startOwnMlflow(): Promise<MlflowServer> {
  const server = await startMlflow({ python: inject("python"), logDirectory: inject("logDirectory"), workers: 1 });
  cleanUp.push(() => server.part.stop());
  return server;
}

describe("the poll", () => {
  it("deploys what is tagged, takes down what is not, and rests when all is well", async () => {
    const { listener, registry, proxy, deployed, tag } = await deployTwo();

    const before = proxy.requests("/api/");
    expect(await listener.poll()).toEqual({
      tagged: 2,
      managed: 2,
      created: 0,
      updated: 0,
      deleted: 0,
      failed: 0,
      held: 0,
      outdated: 0,
    });
    // One search for tagged versions, one for tagged models, and no request per version.
    expect(proxy.requests("/api/") - before).toBe(2);

    const third = await registry.register(uniqueModel("three"), "s3://models/y", { [tag]: "True" });
    expect(await listener.poll()).toMatchObject({ tagged: 3, created: 1 });
    await listener.idle();
    await registry.deleteTag(third, tag);
    expect(await listener.poll()).toMatchObject({ tagged: 2, managed: 3, deleted: 1 });
    expect(await deployed()).toHaveLength(2);
  });

  it("puts right what others changed or deleted", async () => {
    const { listener, namespace, services, names, deployed } = await deployTwo();
    const [one = "", two = ""] = names;
    const patch = JSON.stringify({ spec: { predictor: { model: { storageUri: "s3://somebody/else" } } } });
    await testKubectl()(["patch", "inferenceservice", one, "-n", namespace, "--type=merge", "-p", patch]);
    await testKubectl()(["delete", "inferenceservice", two, "-n", namespace]);

    expect(await listener.poll()).toMatchObject({ created: 1, updated: 1, failed: 0 });

    expect((await services.get(one))?.spec).toMatchObject({ predictor: { model: { storageUri: "s3://models/x/" } } });
    expect(await deployed()).toEqual(names);
  });

  it("leaves objects alone on which somebody put our label", async () => {
    const { listener, namespace, services } = await deployTwo();
    const foreign = {
      apiVersion: "serving.kserve.io/v1beta1",
      kind: "InferenceService",
      metadata: { name: "theirs", namespace, labels: { "managed-by": "mlflow-kserve-webhook-listener" } },
      spec: {
        predictor: { model: { modelFormat: { name: "mlflow" }, protocolVersion: "v2", storageUri: "s3://a/b" } },
      },
    };
    await testKubectl()(["create", "-f", "-"], JSON.stringify(foreign));

    expect(await listener.poll()).toMatchObject({ managed: 3, deleted: 0, updated: 0 });
    expect((await services.get("theirs"))?.metadata.deletionTimestamp).toBeUndefined();
  });

  it("deploys the other versions when one cannot be deployed", async () => {
    const { listener, registry, logged, tag } = await deployTwo();
    await registry.register(uniqueModel("bad"), "dbfs:/x", { [tag]: "true" });
    await registry.register(uniqueModel("good"), "s3://models/z", { [tag]: "true" });

    expect(await listener.poll()).toMatchObject({ tagged: 4, created: 1, failed: 1 });
    expect(logged.find(({ level }) => level === "error")?.fields.cause).toMatch(/dbfs/);
  });

  it("reads all pages of a search", async () => {
    const trackingUri = inject("mlflowTrackingUri");
    const registry = openRegistry(trackingUri);
    const [model, tag] = [uniqueModel("paged"), uniqueModel("deploy")];
    const registered: string[] = [];
    for (let version = 1; version <= 7; version++) {
      registered.push(formatKey(await registry.register(model, "s3://models/x", { [tag]: "true" })));
    }
    const transport = createMlflowTransport({ trackingUri, deadline: 10_000 });

    const found = await createMlflowReader(transport, 3).searchTagged(tag);

    expect(found.map(formatKey).sort()).toEqual(registered);
  });
});

/** Polls twice, and expects the very same two objects to be there afterwards. */
async function expectNothingIsDeleted(
  { listener, services, deployed, names }: Deployed,
  fault: () => void,
): Promise<void> {
  const before = await listManaged(services);
  fault();
  await listener.poll();
  await listener.poll();
  const after = await listManaged(services);
  expect(after.map(({ metadata }) => metadata.uid)).toEqual(before.map(({ metadata }) => metadata.uid));
  expect(await deployed()).toEqual(names);
}

describe("nothing is deleted when MLflow", () => {
  it("is killed during the poll, and everything goes on when it is back", async () => {
    const { trackingUri, part } = await startOwnMlflow();
    const running = await deployTwo(trackingUri);
    await expectNothingIsDeleted(running, () => {
      running.proxy.tamper = () => {
        part.kill();
        throw new Error("the answer never comes");
      };
    });
    expect(running.logged.at(-1)).toMatchObject({ level: "error", message: "Poll failed, nothing was changed" });

    running.proxy.tamper = () => undefined;
    await part.start();
    const [model = ""] = running.names;
    await running.registry.deleteTag({ model: model.replace(/^mlflow-|-v1$/g, ""), version: "1" }, running.tag);
    expect(await running.listener.poll()).toMatchObject({ tagged: 1, managed: 2, deleted: 1 });
  });

  // From here on: answers that the real server cannot be made to give.
  const faults: [string, (proxy: TamperingProxy) => void][] = [
    [
      "answers with an empty list",
      proxy => {
        proxy.tamper = (path, answer) => {
          if (path.includes("search")) answer.body = "{}";
        };
      },
    ],
    [
      "answers with half a page",
      proxy => {
        proxy.tamper = (path, answer) => {
          if (path.includes("search")) answer.cut = true;
        };
      },
    ],
    [
      "answers with JSON that ends in the middle, complete by its length",
      proxy => {
        proxy.tamper = (_path, answer) => {
          answer.body = answer.body.slice(0, answer.body.length / 2);
        };
      },
    ],
    [
      "leaves out a part of the versions",
      proxy => {
        proxy.tamper = (path, answer) => {
          if (!path.includes("search")) return;
          const page = JSON.parse(answer.body) as { model_versions: unknown[] };
          answer.body = JSON.stringify({ model_versions: page.model_versions.slice(1) });
        };
      },
    ],
    [
      "says that there is another page and does not give it",
      proxy => {
        proxy.tamper = (path, answer) => {
          if (path.includes("page_token")) answer.status = 500;
          else if (path.includes("search")) answer.body = '{"next_page_token":"next"}';
        };
      },
    ],
    [
      "is replaced by a proxy's error page",
      proxy => {
        proxy.tamper = (_path, answer) => {
          Object.assign(answer, { status: 404, contentType: "text/html", body: "<html>404 page not found</html>" });
        };
      },
    ],
    [
      "is replaced by a proxy's page that says 200",
      proxy => {
        proxy.tamper = (_path, answer) => {
          Object.assign(answer, { contentType: "text/html", body: "<html>Please log in</html>" });
        };
      },
    ],
    [
      "answers 200 with empty objects",
      proxy => {
        proxy.tamper = (_path, answer) => {
          answer.body = "{}";
        };
      },
    ],
    [
      "answers everything with 500",
      proxy => {
        proxy.tamper = (_path, answer) => {
          Object.assign(answer, { status: 500, body: '{"error_code":"INTERNAL_ERROR","message":""}' });
        };
      },
    ],
    [
      "answers with another version than the one asked for",
      proxy => {
        proxy.tamper = (path, answer) => {
          if (path.includes("search")) answer.body = "{}";
          else answer.body = '{"model_version":{"name":"another","version":"1"}}';
        };
      },
    ],
  ];

  it.each(faults)("%s", async (_what, produce) => {
    const running = await deployTwo();
    await expectNothingIsDeleted(running, () => {
      produce(running.proxy);
    });
  });
});
