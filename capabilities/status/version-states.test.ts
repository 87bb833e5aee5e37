import { describe, expect, it } from "vitest";
import { liveService, modelVersion, START_LIMIT } from "../../test/support/unit/objects";
import { factsOf } from "../kserve/service-facts";
import type { ServiceFacts } from "../kserve/service-facts";
import type { ModelVersion } from "../mlflow/client";
import type { Failure } from "../reconciliation/failures";
import type { Outcome } from "../reconciliation/reconciler";
import { formatKey } from "../support/model-version-key";
import { statusTagKeys } from "./status-tags";
import { createVersionStates } from "./version-states";
import type { PolledVersions, VersionStates } from "./version-states";

const KEY = { model: "iris", version: "3" };
const LATELY = new Date().toISOString();
const serviceIn = (status: "True" | "Unknown", metadata = {}): ServiceFacts => {
  const lately = { creationTimestamp: LATELY, ...metadata };
  return factsOf(
    liveService(KEY, { metadata: lately, status: { conditions: [{ type: "Ready", status }] } }),
    START_LIMIT,
  );
};
const outcome = (action: Outcome["action"], version: ModelVersion | undefined): Outcome => ({
  ...{ action, version, inferenceService: "mlflow-iris-v3", namespace: "models" },
  ...{ mlflowMilliseconds: 1, kubernetesMilliseconds: 1 },
});

interface SetUp {
  readonly states: VersionStates;
  readonly failures: Map<string, Failure>;
  readonly words: (string | undefined)[];
  readonly poll: (found?: Partial<PolledVersions>, meanwhile?: () => void) => void;
}

function setUp(): SetUp {
  const words: (string | undefined)[] = [];
  const failures = new Map<string, Failure>();
  const states = createVersionStates({
    deployTagKey: "deploy",
    tagKeys: statusTagKeys("serving"),
    urlOf: ({ urls }) => urls?.internal,
    failureOf: key => failures.get(formatKey(key)),
    onChange: ({ after }) => words.push(after?.word),
  });
  const poll: SetUp["poll"] = (found = {}, meanwhile = () => undefined) => {
    const begun = states.begin();
    meanwhile();
    states.polled(begun, { tagged: [], services: new Map(), held: [], undecided: [], ...found });
  };
  return { states, failures, words, poll };
}

const withService = (facts: ServiceFacts): PolledVersions["services"] =>
  new Map([[formatKey(KEY), { key: KEY, facts }]]);

describe("createVersionStates", () => {
  it("tells nothing before the first poll is complete, and all of it then", () => {
    const { states, words, poll } = setUp();
    states.serviceSeen(KEY, serviceIn("True"));
    expect([...states.all()]).toEqual([]);
    const begun = states.begin();
    states.serviceSeen(KEY, serviceIn("True"));
    expect(words).toEqual([]);
    states.polled(begun, { tagged: [modelVersion()], services: new Map(), held: [], undecided: [] });
    // What the watch said is newer than the poll's list.
    expect(words).toEqual(["Ready"]);
    poll({ tagged: [modelVersion()], services: withService(serviceIn("True")) });
    expect(words).toEqual(["Ready"]);
  });

  it("follows a version through its life by what is heard between two polls", () => {
    const { states, words, poll } = setUp();
    poll();
    states.reconciled(KEY, outcome("created", modelVersion()), states.now());
    states.serviceSeen(KEY, serviceIn("Unknown"));
    states.serviceSeen(KEY, serviceIn("True"));
    states.serviceGone(KEY, "uid of another one");
    expect(words).toEqual(["Starting", "Starting", "Ready"]);
    // Nobody knows yet whether it was somebody's mistake or the tag is gone.
    states.serviceGone(KEY, serviceIn("True").uid);
    expect(words).toHaveLength(3);
    states.reconciled(KEY, outcome("unchanged", modelVersion({ tags: new Map([["serving", "Ready"]]) })), states.now());
    expect(words.slice(3)).toEqual([undefined]);
    expect(states.get(KEY)?.tags).toEqual(new Map([["serving", "Ready"]]));
    states.tagWritten(KEY, { key: "serving", value: undefined });
    poll();
    expect([...states.all()]).toEqual([]);
  });

  it("keeps what was heard while a poll was under way", () => {
    const { states, words, poll } = setUp();
    poll({ tagged: [modelVersion()], services: withService(serviceIn("True")) });
    poll({ tagged: [modelVersion()], services: withService(serviceIn("True")) }, () => {
      states.reconciled(KEY, outcome("deleted", modelVersion({ tags: new Map() })), states.now());
    });
    expect(words).toEqual(["Ready", "Stopping"]);
    poll();
    expect(words).toEqual(["Ready", "Stopping", undefined]);
  });

  it("shows a service that was deleted as long as it is there, whoever tells first that it is gone", () => {
    const { states, words, poll } = setUp();
    const { uid } = serviceIn("True");
    const untagged = modelVersion({ tags: new Map() });
    poll({ tagged: [modelVersion()], services: withService(serviceIn("True")) });
    states.reconciled(KEY, { ...outcome("deleted", untagged), uid, reason: "no tag" }, states.now());
    expect(states.get(KEY)?.state).toMatchObject({ word: "Stopping", cause: "no tag" });
    states.serviceGone(KEY, uid);
    states.reconciled(KEY, outcome("unchanged", untagged), states.now());
    expect(words).toEqual(["Ready", "Stopping", undefined]);

    poll({ tagged: [modelVersion()], services: withService(serviceIn("True")) });
    states.serviceGone(KEY, uid);
    states.reconciled(KEY, { ...outcome("deleted", untagged), uid }, states.now());
    expect(words.slice(3)).toEqual(["Ready", undefined]);

    poll({ tagged: [modelVersion()], services: withService(serviceIn("True")) });
    states.reconciled(KEY, { ...outcome("deleted", untagged), uid }, states.now());
    states.reconciled(KEY, { ...outcome("created", modelVersion()), uid: "the next" }, states.now());
    expect(words.slice(5)).toEqual(["Ready", "Stopping", "Starting"]);
  });

  it("says at once why a service stays that a reconcile held", () => {
    const { states, poll } = setUp();
    poll({ tagged: [modelVersion()], services: withService(serviceIn("True")) });
    states.reconciled(
      KEY,
      { ...outcome("held", modelVersion({ tags: new Map() })), reason: "the next poll decides" },
      states.now(),
    );
    expect(states.get(KEY)?.state).toMatchObject({
      word: "Waiting",
      cause: "its service is to go, and stays for now: the next poll decides",
    });
  });

  it("shows what failed, until it is over, and what is held", () => {
    const { states, failures, words, poll } = setUp();
    const refusal = { kind: "permanent", owner: "version", answer: 422, status: "refused", message: "no" } as const;
    failures.set(formatKey(KEY), refusal);
    poll({ tagged: [modelVersion()] });
    failures.delete(formatKey(KEY));
    states.reconciled(KEY, outcome("created", modelVersion()), states.now());
    const held = [{ key: KEY, inferenceService: "mlflow-iris-v3", reason: "mass", isNotAllowed: false }] as const;
    poll({ services: withService(serviceIn("True")), held });
    poll({ services: withService(serviceIn("True")) });
    expect(words).toEqual(["Refused", "Starting", "Waiting", "Stopping"]);
  });

  it("says of a service that MLflow says nothing about why it stays", () => {
    const { states, words, poll } = setUp();
    poll({ services: withService(serviceIn("True")), undecided: [{ key: KEY, cause: "may not be read" }] });
    expect(states.get(KEY)?.state).toMatchObject({ word: "Waiting", cause: "may not be read" });
    poll({ services: withService(serviceIn("True")) });
    expect(words).toEqual(["Waiting", "Stopping"]);
  });

  it("does not tell the same cause again when only a number in it is another", () => {
    const { states, failures, words, poll } = setUp();
    const waiting = { kind: "waiting", owner: "kubernetes", answer: 500, status: "kubernetes_error" } as const;
    for (const seconds of [5, 6]) {
      failures.set(formatKey(KEY), { ...waiting, message: `try again after ${seconds} s` });
      poll({ tagged: [modelVersion()] });
    }
    expect(words).toEqual(["Waiting"]);
    expect(states.get(KEY)?.state?.cause).toBe("try again after 5 s");
  });

  it("believes no search that leaves the tags out", () => {
    const { states, words, poll } = setUp();
    poll({ tagged: [modelVersion({ tags: new Map() })] });
    expect(words).toEqual(["Starting"]);
    expect(states.get(KEY)?.tags).toBeUndefined();
    states.read(KEY, modelVersion(), states.now());
    expect(states.get(KEY)?.tags).toEqual(new Map());
  });

  it("has the tags read that a search found, where it does not tell them", () => {
    const { states, poll } = setUp();
    const bare = modelVersion({ tags: new Map() });
    poll({ tagged: [bare] });
    states.found(1, [bare, { ...bare, model: "unknown" }]);
    expect([...states.all()]).toMatchObject([{ key: KEY, isUncertain: true }]);
    states.read(KEY, modelVersion(), states.now());
    states.found(1, [bare]);
    expect(states.get(KEY)).toMatchObject({ isUncertain: false });
  });

  it("keeps a version without a state whose tags are in doubt, until they have been read", () => {
    const { states, poll } = setUp();
    poll({ tagged: [modelVersion()] });
    states.tagUncertain(KEY);
    // The search of a poll that began before says nothing about it, and the version is not in the next one.
    states.reconciled(KEY, outcome("deleted", undefined), states.now());
    states.tagUncertain(KEY);
    poll();
    expect(states.get(KEY)).toMatchObject({ isUncertain: true, tags: undefined, state: undefined });
    states.read(KEY, modelVersion({ tags: new Map([["serving", "Starting"]]) }), states.now());
    expect(states.get(KEY)).toMatchObject({ isUncertain: false, tags: new Map([["serving", "Starting"]]) });
  });

  it("does not take a service that is gone for one that starts, because nobody could ask MLflow", () => {
    const { states, failures, words, poll } = setUp();
    poll({ tagged: [modelVersion()], services: withService(serviceIn("True")) });
    const passing = { kind: "passing", owner: "mlflow", answer: 502, status: "mlflow_error", message: "no" } as const;
    states.serviceGone(KEY, serviceIn("True").uid);
    failures.set(formatKey(KEY), passing);
    states.failed(KEY);
    expect(words).toEqual(["Ready", "Waiting"]);
    expect(states.get(KEY)?.state).toMatchObject({ url: undefined, cause: "no" });
    failures.clear();
    poll();
    expect(words).toEqual(["Ready", "Waiting", undefined]);
  });

  it("takes the word of a service that somebody has made for more than an older wish, hold or failure", () => {
    const { states, failures, words, poll } = setUp();
    const refusal = { kind: "permanent", owner: "version", answer: 422, status: "refused", message: "no" } as const;
    failures.set(formatKey(KEY), refusal);
    poll({ tagged: [modelVersion()] });
    // Its cause was taken away, and another process has made the service.
    states.serviceSeen(KEY, serviceIn("True"));
    expect(words).toEqual(["Refused", "Ready"]);
    states.failed(KEY);
    expect(words).toEqual(["Refused", "Ready", "Refused"]);
    failures.clear();
    poll();
    expect(words.slice(3)).toEqual([undefined]);
    states.serviceSeen(KEY, { ...serviceIn("True"), uid: "the next one" });
    expect(words.slice(4)).toEqual(["Ready"]);
  });

  it("does not take a version for untagged whose service came while the search was under way", () => {
    const { states, words, poll } = setUp();
    poll();
    poll({}, () => {
      states.serviceSeen(KEY, serviceIn("True"));
    });
    expect(words).toEqual(["Ready"]);
    poll({ services: withService(serviceIn("True")) });
    expect(words).toEqual(["Ready", "Stopping"]);
  });

  it("learns from a search for status tags nothing of what is to be served, which an alias may want", () => {
    const { states, words, poll } = setUp();
    const wanted = modelVersion({ tags: new Map([["serving", "Ready"]]), modelWish: { alias: "champion" } });
    poll({ tagged: [wanted], services: withService(serviceIn("True")) });
    const begun = states.begin();
    states.polled(begun, {
      ...{ tagged: [wanted], services: withService(serviceIn("True")), held: [], undecided: [] },
    });
    states.found(begun, [modelVersion({ tags: new Map([["serving", "Failed"]]) })]);
    expect(words).toEqual(["Ready"]);
    expect(states.get(KEY)?.tags).toEqual(new Map([["serving", "Failed"]]));
  });

  it("does not forget a tag that was written after a reconcile had read the version", () => {
    const { states, poll } = setUp();
    poll({ tagged: [modelVersion()], services: withService(serviceIn("True")) });
    const asked = states.now();
    states.tagWritten(KEY, { key: "serving.cause", value: "it goes" });
    states.reconciled(KEY, outcome("unchanged", modelVersion({ tags: new Map([["serving", "Ready"]]) })), asked);
    expect(states.get(KEY)?.tags).toEqual(new Map([["serving.cause", "it goes"]]));
  });

  it("says since when a refusal is, and not since when the service is Ready that it is about", () => {
    const { states, failures, poll } = setUp();
    poll({ tagged: [modelVersion()], services: withService(serviceIn("True")) });
    const before = Date.now();
    failures.set(formatKey(KEY), {
      ...({ kind: "permanent", owner: "version", answer: 422, status: "refused", message: "no" } as const),
    });
    states.failed(KEY);
    const since = states.get(KEY)?.state?.since ?? 0;
    expect(since).toBeGreaterThanOrEqual(before);
    poll({ tagged: [modelVersion()], services: withService(serviceIn("True")) });
    expect(states.get(KEY)?.state).toMatchObject({ word: "Refused", since });
  });

  it("believes MLflow's answer about a version that was tagged between a poll's search and its list", () => {
    const { states, words, poll } = setUp();
    poll();
    const undecided = [{ key: KEY, cause: "they differ", answer: modelVersion() }];
    poll({ services: withService(serviceIn("True")), undecided });
    expect(words).toEqual(["Ready"]);
    poll({ services: withService(serviceIn("True")), undecided: [{ key: KEY, cause: "no answer" }] });
    expect(words).toEqual(["Ready", "Waiting"]);
    expect(states.get(KEY)?.state?.cause).toBe("no answer");
  });

  it("knows that a version has no tags any more that an alias wants, and that has none of its own", () => {
    const { states, poll } = setUp();
    const wanted = (tags: Record<string, string>): ModelVersion =>
      modelVersion({ tags: new Map(Object.entries(tags)), modelWish: { alias: "champion" } });
    poll({ tagged: [wanted({ serving: "Ready" })], services: withService(serviceIn("True")) });
    poll({ tagged: [wanted({})], services: withService(serviceIn("True")) });
    expect(states.get(KEY)?.tags).toEqual(new Map());
  });
});
