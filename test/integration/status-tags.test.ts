import { describe, expect, inject, it, onTestFinished } from "vitest";
import type { ModelVersionKey } from "../../capabilities/support/model-version-key";
import { startListener, uniqueModel } from "../support/listener-fixture";
import type { ListenerFixtureOptions, RunningListener } from "../support/listener-fixture";
import { startMlflowWithAccounts } from "../support/mlflow-accounts";
import { waitFor } from "../support/waiting";
import { openRegistry } from "../support/mlflow-registry";
import type { MlflowRegistry } from "../support/mlflow-registry";

const registry = openRegistry(inject("mlflowTrackingUri"));

/** A version's tags that begin like a status tag. */
async function statusOf(key: ModelVersionKey, prefix = "serving", from: MlflowRegistry = registry): Promise<unknown> {
  const tags = [...(await from.tagsOf(key))].filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(tags);
}

interface SetUp extends RunningListener {
  readonly tag: string;
  /** Polls, and waits until all that follows is done. */
  readonly poll: () => Promise<void>;
}

async function setUp(
  settings: Readonly<Record<string, string>> = {},
  options: ListenerFixtureOptions = {},
): Promise<SetUp> {
  const tag = settings.DEPLOY_TAG_KEY ?? uniqueModel("deploy");
  const running = await startListener({ ...options, settings: { DEPLOY_TAG_KEY: tag, ...settings } });
  const poll = async (): Promise<void> => {
    // MLflow with accounts takes its time for each password, on a busy machine more than a call may take.
    await waitFor("a poll", () => running.listener.poll());
    await running.listener.idle();
  };
  return { ...running, tag, poll };
}

/** Polls until it is so: a version's tags are not written again at once. */
async function untilPolled(poll: () => Promise<void>, holds: () => Promise<void>): Promise<void> {
  await waitFor("the tags", async () => {
    await poll();
    return await holds().then(
      () => true,
      () => undefined,
    );
  });
}

const warnings = ({ logged }: RunningListener): string[] =>
  logged.filter(({ level }) => level === "warn").map(({ message }) => message);

interface ListedService {
  readonly status: string;
  readonly message?: string;
}

async function listed({ url }: RunningListener): Promise<readonly ListedService[]> {
  const { services } = (await (await fetch(`${url}/services`)).json()) as { services: readonly ListedService[] };
  return services;
}

/** What the module's account may do, and what comes of it; docs/status.md has the table. */
const RIGHTS = [
  { permission: "NO_PERMISSIONS", while: undefined, after: undefined, warns: undefined },
  { permission: "READ", while: {}, after: {}, warns: "does not let this module's user set tags" },
  {
    permission: "EDIT",
    while: { serving: "Starting" },
    after: { serving: "Stopped" },
    warns: "does not let this module's user delete tags",
  },
  { permission: "MANAGE", while: { serving: "Starting" }, after: {}, warns: undefined },
] as const;

describe("The status tags in MLflow", () => {
  it("say what is with a version, and go with its service", async () => {
    const running = await setUp();
    const { tag, poll } = running;
    const served = await registry.register(uniqueModel("served"), "s3://models/any", { [tag]: "true" });
    const refused = await registry.register(uniqueModel("refused"), "dbfs:/models/any", { [tag]: "true" });
    await poll();
    expect(await statusOf(served)).toEqual({ serving: "Starting" });
    expect(await statusOf(refused)).toEqual({
      serving: "Refused",
      "serving.cause": expect.stringContaining("dbfs") as string,
    });
    await registry.deleteTag(served, tag);
    await registry.setTag(refused, tag, "false");
    await running.deliver(served, "deleted");
    await untilPolled(poll, async () => {
      expect([await statusOf(served), await statusOf(refused)]).toEqual([{}, {}]);
    });
  });

  it("are put right when somebody changes them, and taken away when they were left behind", async () => {
    const { tag, poll } = await setUp();
    // Its state stays what it is.
    const refused = await registry.register(uniqueModel("refused"), "dbfs:/models/any", { [tag]: "true" });
    const left = { serving: "Ready", "serving.url": "http://gone" };
    const leftBehind = await registry.register(uniqueModel("left"), "s3://models/any", left);
    const ofOthers = await registry.register(uniqueModel("others"), "s3://models/any", { ...left, "deploy-b": "true" });
    await poll();
    const written = await statusOf(refused);
    expect(written).toMatchObject({ serving: "Refused" });
    await registry.setTag(refused, "serving.cause", "made up");
    await registry.setTag(refused, "serving.url", "http://made-up");
    await registry.setTag(refused, "serving", "Ready");
    await untilPolled(poll, async () => {
      expect(await statusOf(refused)).toEqual(written);
    });
    expect([await statusOf(leftBehind), await statusOf(ofOthers)]).toEqual([{}, left]);
  });

  it("leave a tag of somebody's own alone, and say so once", async () => {
    const running = await setUp();
    const { tag, poll } = running;
    const own = { serving: "by hand", "serving.url": "http://theirs" };
    const key = await registry.register(uniqueModel("own"), "s3://models/any", { ...own, [tag]: "true" });
    await poll();
    await poll();
    expect(await statusOf(key)).toEqual(own);
    expect(warnings(running).filter(text => text.includes("MLFLOW_KSERVE_STATUS_TAG_PREFIX"))).toHaveLength(1);
    const other = await setUp({ DEPLOY_TAG_KEY: tag, STATUS_TAG_PREFIX: "served" });
    await other.poll();
    expect(await statusOf(key, "serv")).toEqual({ ...own, served: "Starting" });
  });

  it("go when they are switched off", async () => {
    const { tag, poll } = await setUp();
    const key = await registry.register(uniqueModel("off"), "s3://models/any", { [tag]: "true" });
    await poll();
    expect(await statusOf(key)).toEqual({ serving: "Starting" });
    const off = await setUp({ DEPLOY_TAG_KEY: tag, STATUS_TAGS: "false" });
    await off.poll();
    expect(await statusOf(key)).toEqual({});
  });

  it("are written as far as MLflow's basic auth permits, and serving goes on without", async () => {
    const mlflow = await startMlflowWithAccounts({ logDirectory: inject("logDirectory"), python: inject("python") });
    onTestFinished(() => mlflow.stop());
    const administered = openRegistry(mlflow.administratorUri);
    for (const { permission, while: served, after, warns } of RIGHTS) {
      const running = await setUp({}, { mlflowTrackingUri: mlflow.readerUri });
      const { tag, poll } = running;
      const key = await administered.register(uniqueModel("model"), "s3://models/any", { [tag]: "true" });
      if (permission !== "NO_PERMISSIONS") await mlflow.grant("registered_model", key.model, permission);
      // Who may not even read sees no version: nothing is served.
      await untilPolled(poll, async () => {
        expect(await running.deployed()).toHaveLength(served === undefined ? 0 : 1);
        expect(await statusOf(key, "serving", administered)).toEqual(served ?? {});
      });
      // What MLflow refused a poll is told by the next.
      await poll();
      await administered.deleteTag(key, tag);
      await waitFor("the answer to the delivery", async () => {
        const { status } = await running.deliver(key, "deleted");
        return status === 200 || permission === "NO_PERMISSIONS" || undefined;
      });
      await untilPolled(poll, async () => {
        expect(await running.deployed()).toEqual([]);
        expect(await statusOf(key, "serving", administered)).toEqual(after ?? {});
      });
      await poll();
      const told = warnings(running).filter(text => text.includes(key.model));
      expect(told).toEqual(warns === undefined ? [] : [expect.stringContaining(warns)]);
    }
    const running = await setUp({}, { mlflowTrackingUri: mlflow.readerUri });
    const lost = await administered.register(uniqueModel("lost"), "s3://models/any", { [running.tag]: "true" });
    await mlflow.grantReading("registered_model", lost.model);
    await running.poll();
    await mlflow.revokeReading("registered_model", lost.model);
    await running.poll();
    expect(await listed(running)).toMatchObject([
      {
        status: "Waiting",
        message: expect.stringMatching(/user read the version \(403\).*give the user READ/) as string,
      },
    ]);
  });
});
