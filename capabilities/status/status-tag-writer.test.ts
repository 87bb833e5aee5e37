import { describe, expect, it } from "vitest";
import { modelVersion } from "../../test/support/unit/objects";
import { settle } from "../../test/support/unit/outcomes";
import { recordingLog } from "../../test/support/unit/recording-log";
import { MlflowError } from "../mlflow/errors";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import type { VersionState } from "./published";
import { statusTagKeys, statusTagsOf } from "./status-tags";
import { createStatusTagWriter } from "./status-tag-writer";
import type { StatusTagWriter } from "./status-tag-writer";

const KEYS = statusTagKeys("serving");
const KEY = { model: "iris", version: "3" };

interface SetUp {
  readonly writer: StatusTagWriter;
  /** What MLflow has. */
  readonly stored: Map<string, Map<string, string>>;
  /** What was asked of MLflow, in order. */
  readonly calls: string[];
  /** The state that a version is in from now on; and whether the last poll read its tags. */
  readonly put: (key: ModelVersionKey, state: VersionState | undefined) => void;
  /** The last poll's search did not show the tags of this version. */
  readonly hide: (key: ModelVersionKey) => void;
  readonly messages: string[];
  /** What was said to be over. */
  readonly overs: string[];
  readonly clock: { now: number };
  /** Calls of MLflow at the same time: now, and at the most. */
  readonly atOnce: { now: number; most: number };
}

/** @param fail the error that a call is answered with, if any */
function setUp(fail: (call: string) => MlflowError | undefined = () => undefined): SetUp {
  const { log, lines } = recordingLog();
  const stored = new Map<string, Map<string, string>>();
  const known = new Map<string, { key: ModelVersionKey; state: VersionState | undefined }>();
  const calls: string[] = [];
  const hidden = new Set<string>();
  const clock = { now: 1_000_000 };
  const atOnce = { now: 0, most: 0 };
  const tagsIn = (key: ModelVersionKey): Map<string, string> => {
    const tags = stored.get(formatKey(key)) ?? new Map<string, string>();
    stored.set(formatKey(key), tags);
    return tags;
  };
  const call = async (what: string): Promise<void> => {
    calls.push(what);
    atOnce.most = Math.max(atOnce.most, ++atOnce.now);
    await settle();
    atOnce.now--;
    const error = fail(what);
    if (error !== undefined) throw error;
  };
  const describeKnown = ({ key, state }: { key: ModelVersionKey; state: VersionState | undefined }) => ({
    ...{ key, state, service: undefined, isUncertain: false },
    tags: hidden.has(formatKey(key)) ? undefined : statusTagsOf(tagsIn(key), KEYS),
  });
  const writer = createStatusTagWriter({
    states: {
      get: key => {
        const entry = known.get(formatKey(key));
        return entry && describeKnown(entry);
      },
      all: () => [...known.values()].map(describeKnown),
      now: () => 0,
      read: () => undefined,
      tagWritten: () => undefined,
      tagUncertain: () => undefined,
    },
    tags: {
      async set(key, tag, value) {
        await call(`${formatKey(key)} ${tag}=${value}`);
        tagsIn(key).set(tag, value);
      },
      async delete(key, tag) {
        await call(`${formatKey(key)} -${tag}`);
        tagsIn(key).delete(tag);
      },
    },
    async readVersion(key) {
      await call(`${formatKey(key)} read`);
      return modelVersion();
    },
    ...{ keys: KEYS, isEnabled: true, log, now: () => clock.now },
    ...{ onWrite: () => undefined, onUnwritten: () => undefined },
  });
  const at = (wanted: string): string[] => lines.filter(({ level }) => level === wanted).map(({ message }) => message);
  return {
    ...{ writer, stored, calls, clock, atOnce },
    get messages() {
      return at("warn");
    },
    get overs() {
      return at("info");
    },
    hide: key => hidden.add(formatKey(key)),
    put: (key, state) => known.set(formatKey(key), { key, state }),
  };
}

const denial = (): MlflowError =>
  new MlflowError("unauthorized", "Permission denied", undefined, { facts: { status: 403 } });

describe("createStatusTagWriter", () => {
  it("writes a state that flaps once in a while, as it is by then", async () => {
    const { writer, calls, put, clock } = setUp();
    for (const word of ["Starting", "Ready", "Failed", "Ready"] as const) {
      put(KEY, { word });
      writer.changed(KEY);
      await writer.idle();
    }
    expect(calls).toEqual(['"iris" version 3 serving=Starting']);
    clock.now += 3_000;
    writer.changed({ model: "other", version: "1" });
    await writer.idle();
    expect(calls.slice(1)).toEqual(['"iris" version 3 serving=Ready']);
  });

  it("writes one tag after the other, however many versions changed", async () => {
    const { writer, put, stored, atOnce } = setUp();
    for (let version = 1; version <= 100; version++)
      put({ model: "iris", version: String(version) }, { word: "Ready" });
    writer.polled();
    await writer.idle();
    expect([stored.size, atOnce.most]).toEqual([100, 1]);
  });

  it("tries a right that was denied again after a while, and says what to do once", async () => {
    const setup = setUp(denial);
    const { writer, calls, put, clock } = setup;
    put(KEY, { word: "Ready" });
    for (let poll = 0; poll < 3; poll++) {
      writer.polled();
      await writer.idle();
    }
    expect(calls).toHaveLength(1);
    expect(setup.messages).toEqual([expect.stringContaining("give the user EDIT, better MANAGE")]);
    clock.now += 600_000;
    writer.polled();
    await writer.idle();
    expect(calls).toHaveLength(2);
    expect(setup.messages).toHaveLength(1);
  });

  it("says of each kind of problem once that it is there, of however many, and once that it is over", async () => {
    const isDenied = { now: true };
    const setup = setUp(() => (isDenied.now ? denial() : undefined));
    const { writer, put, stored, clock } = setup;
    const poll = async (): Promise<void> => {
      clock.now += 600_000;
      writer.polled();
      await writer.idle();
    };
    for (let model = 1; model <= 3; model++) {
      put({ model: `model ${model}`, version: "1" }, { word: "Ready" });
      await poll();
    }
    await poll();
    stored.set(formatKey(KEY), new Map([["serving", "by hand"]]));
    put(KEY, { word: "Ready" });
    await poll();
    expect(setup.messages).toEqual([
      expect.stringContaining("of 1 model (model 1)"),
      expect.stringContaining("1 version"),
    ]);
    expect(writer.concerns()[0]).toContain("of 3 models");
    isDenied.now = false;
    await poll();
    await poll();
    expect(setup.overs).toEqual([expect.stringContaining("denies this module's user no status tags any more")]);
    stored.delete(formatKey(KEY));
    await poll();
    expect([setup.messages.length, setup.overs.length]).toEqual([2, 2]);
  });

  it("remembers no failure of a version that is gone, or has nothing to be written any more", async () => {
    const isDown = { now: true };
    const error = new MlflowError("unexpected", "database is locked", undefined, { facts: { status: 500 } });
    const { writer, calls, put } = setUp(() => (isDown.now ? error : undefined));
    const other = { model: "iris", version: "4" };
    put(KEY, { word: "Ready" });
    writer.polled();
    await writer.idle();
    put(KEY, undefined);
    writer.polled();
    isDown.now = false;
    put(KEY, { word: "Ready" });
    put(other, { word: "Ready" });
    writer.polled();
    await writer.idle();
    expect(calls.slice(1)).toEqual([`${formatKey(KEY)} serving=Ready`, `${formatKey(other)} serving=Ready`]);
  });

  it("leaves the rest to the next poll when MLflow does not answer", async () => {
    const { writer, calls, put } = setUp(() => new MlflowError("unreachable", "MLflow cannot be reached"));
    for (let version = 1; version <= 10; version++) put({ model: "iris", version: String(version) }, { word: "Ready" });
    writer.polled();
    await writer.idle();
    expect(calls).toHaveLength(3);
  });

  it("leaves tags to somebody who changes them back each time, until the state is another one", async () => {
    const setup = setUp();
    const { writer, calls, put, stored, clock } = setup;
    put(KEY, { word: "Ready" });
    for (let poll = 0; poll < 6; poll++) {
      writer.polled();
      await writer.idle();
      stored.get(formatKey(KEY))?.set("serving", "Starting");
      clock.now += 60_000;
    }
    expect(calls).toHaveLength(3);
    expect(setup.messages).toEqual([expect.stringContaining("where two installations serve from one MLflow")]);
    put(KEY, { word: "Failed" });
    writer.polled();
    await writer.idle();
    expect(stored.get(formatKey(KEY))?.get("serving")).toBe("Failed");
  });

  it("does not ask again and again for what it may not even read", async () => {
    const { writer, calls, put, hide } = setUp(denial);
    put(KEY, { word: "Ready" });
    hide(KEY);
    writer.polled();
    await writer.idle();
    writer.polled();
    await writer.idle();
    expect(calls).toEqual(['"iris" version 3 read']);
  });

  it("takes what it left half done for nobody else's doing", async () => {
    const word = { fails: true };
    const error = new MlflowError("unexpected", "database is locked", undefined, { facts: { status: 500 } });
    const setup = setUp(call => (word.fails && call.includes("serving=Failed") ? error : undefined));
    const { writer, put, stored, clock } = setup;
    put(KEY, { word: "Ready" });
    writer.polled();
    await writer.idle();
    put(KEY, { word: "Failed", cause: "no model" });
    for (let poll = 0; poll < 5; poll++) {
      clock.now += 60_000;
      word.fails = poll < 4;
      writer.polled();
      await writer.idle();
    }
    expect(Object.fromEntries(stored.get(formatKey(KEY)) ?? [])).toEqual({
      serving: "Failed",
      "serving.cause": "no model",
    });
    expect(setup.messages).toEqual([]);
  });

  it("does not let versions that always fail keep the others from being written", async () => {
    const error = new MlflowError("unexpected", "database is locked", undefined, { facts: { status: 500 } });
    const { writer, put, stored } = setUp(call => (/version [1-3] /.test(call) ? error : undefined));
    for (let version = 1; version <= 5; version++) put({ model: "iris", version: String(version) }, { word: "Ready" });
    for (let poll = 0; poll < 2; poll++) {
      writer.polled();
      await writer.idle();
    }
    expect(
      [4, 5].map(version => stored.get(formatKey({ model: "iris", version: String(version) }))?.get("serving")),
    ).toEqual(["Ready", "Ready"]);
  });

  it("says that MLflow does not take them at all, and when it does again", async () => {
    const mlflow = { isWell: false };
    const error = new MlflowError("unexpected", "database is locked", undefined, { facts: { status: 500 } });
    const setup = setUp(() => (mlflow.isWell ? undefined : error));
    const { writer, put } = setup;
    for (let version = 1; version <= 5; version++) put({ model: "iris", version: String(version) }, { word: "Ready" });
    for (let poll = 0; poll < 3; poll++) {
      writer.polled();
      await writer.idle();
    }
    expect(setup.messages).toEqual([expect.stringMatching(/^MLflow does not take status tags \(database is locked\)/)]);
    expect(writer.concerns()).toHaveLength(1);
    mlflow.isWell = true;
    writer.polled();
    await writer.idle();
    writer.polled();
    expect(writer.concerns()).toEqual([]);
  });
});
