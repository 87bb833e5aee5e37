import { describe, expect, it } from "vitest";
import { recordingLog } from "../../test/support/unit/recording-log";
import { MlflowError } from "../mlflow/errors";
import type { RegisteredModel } from "../mlflow/registered-models";
import { createEndpointTags } from "./endpoint-tags";
import type { EndpointTags, EndpointTagsOptions } from "./endpoint-tags";

const ENDPOINT = { state: { version: "3" }, url: "http://mlflow-iris-endpoint.models.svc.cluster.local" };
const NONE = { state: undefined, url: undefined };

const model = (tags: Readonly<Record<string, string>> = {}): RegisteredModel => ({
  name: "iris",
  tags: new Map(Object.entries(tags)),
  aliases: new Map(),
});
const WRITTEN = model({ "serving.endpoint": ENDPOINT.url, "serving.traffic": "v3 100%", deploy: "true" });

interface Writing extends EndpointTags {
  readonly calls: string[];
  readonly levels: () => unknown[];
  readonly clock: { now: number };
}

function writing(options: Partial<EndpointTagsOptions> = {}, failure?: MlflowError): Writing {
  const calls: string[] = [];
  const clock = { now: 0 };
  const { log, lines } = recordingLog();
  const done = (call: string): Promise<void> => {
    calls.push(call);
    return failure === undefined ? Promise.resolve() : Promise.reject(failure);
  };
  const tags = {
    set: (name: string, key: string, value: string) => done(`${name} ${key}=${value}`),
    delete: (name: string, key: string) => done(`${name} ${key}-`),
  };
  const made = createEndpointTags({ tags, prefix: "serving", isEnabled: true, log, now: () => clock.now, ...options });
  return { ...made, calls, clock, levels: () => lines.map(({ level }) => level) };
}

describe("the tags of a model with an endpoint", () => {
  it("say where it is, and which version has the traffic, and nothing again", async () => {
    const { write, areRight, calls } = writing();
    expect(areRight(model(), ENDPOINT)).toBe(false);
    await write(model(), ENDPOINT);
    expect(calls).toEqual([`iris serving.endpoint=${ENDPOINT.url}`, "iris serving.traffic=v3 100%"]);
    expect(areRight(WRITTEN, ENDPOINT)).toBe(true);
    await write(WRITTEN, ENDPOINT);
    expect(calls).toHaveLength(2);
  });

  it.each([
    { "serving.endpoint": "https://api.example.com/iris" },
    { "serving.endpoint": "by mail" },
    { "serving.traffic": "heavy" },
  ])("are left as they are where somebody else wrote them: %j", async tags => {
    const { write, areRight, calls } = writing();
    for (const endpoint of [ENDPOINT, NONE]) {
      expect(areRight(model(tags), endpoint)).toBe(true);
      await write(model(tags), endpoint);
    }
    expect(calls).toEqual([]);
  });

  it("keep the address while nobody can tell it", () => {
    expect(writing().areRight(WRITTEN, { ...ENDPOINT, url: undefined })).toBe(true);
  });

  it.each([
    ["without an endpoint", {}, NONE],
    ["where status tags are switched off", { isEnabled: false }, ENDPOINT],
  ])("are taken away %s", async (_, options, endpoint) => {
    const { write, areRight, calls } = writing(options);
    expect(areRight(WRITTEN, endpoint)).toBe(false);
    await write(WRITTEN, endpoint);
    expect(calls).toEqual(["iris serving.endpoint-", "iris serving.traffic-"]);
    expect(areRight(model({ deploy: "true" }), endpoint)).toBe(true);
  });

  it("are tried again after a while where MLflow denies them, or when others are to be written; told once", async () => {
    const { write, areRight, levels, clock } = writing({}, new MlflowError("unauthorized", "403"));
    expect(await write(model(), ENDPOINT)).toBe(true);
    expect(areRight(model(), ENDPOINT)).toBe(true);
    expect(areRight(model(), { ...ENDPOINT, state: { version: "4" } })).toBe(false);
    clock.now = 600_000;
    expect(areRight(model(), ENDPOINT)).toBe(false);
    await write(model(), ENDPOINT);
    expect(levels()).toEqual(["warn", "debug"]);
  });

  it("are tried again by the next who asks where MLflow fails", async () => {
    const { write, areRight } = writing({}, new MlflowError("unreachable", "no answer"));
    expect(await write(model(), ENDPOINT)).toBe(false);
    expect(areRight(model(), ENDPOINT)).toBe(false);
  });
});
