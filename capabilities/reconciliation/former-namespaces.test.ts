import { describe, expect, it } from "vitest";
import { fakeCluster } from "../../test/support/unit/fake-cluster";
import type { FakeCluster } from "../../test/support/unit/fake-cluster";
import { fakeMlflow } from "../../test/support/unit/fake-mlflow";
import { liveService, modelVersion, NAMESPACE } from "../../test/support/unit/objects";
import { recordingLog } from "../../test/support/unit/recording-log";
import { CREATED_BY_KEY, identityAnnotations } from "../kserve/identity";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { inferenceServiceName } from "../kserve/names";
import { KubernetesError } from "../kubernetes/api-server";
import type { ModelVersionKey } from "../support/model-version-key";
import { judge, judgeMove } from "./former-namespace-judgement";
import { createFormerNamespaces } from "./former-namespaces";
import type { ElsewhereReport, FormerNamespacesOptions } from "./former-namespaces";

const US = "system:serviceaccount:pepr-system:pepr-mlflow-kserve";
const OLD = "old-models";
const IRIS = { model: "iris", version: "1" };
const READY = { status: { conditions: [{ type: "Ready", status: "True" }] } };

/** Our service of a version in another namespace. */
function elsewhere(
  key: ModelVersionKey = IRIS,
  { namespace = OLD, maker = undefined as string | undefined, metadata = {} } = {},
): LiveInferenceService {
  const annotations = {
    ...identityAnnotations(key),
    ...(maker === undefined ? {} : { [CREATED_BY_KEY]: maker }),
  };
  return liveService(key, {
    metadata: { namespace, name: inferenceServiceName(key, namespace), annotations, ...metadata },
  });
}

describe("judge", () => {
  const removing = { former: [OLD], policy: "remove" } as const;

  it("lets go what is beyond doubt ours in a former namespace", () => {
    expect(judge(elsewhere(), removing, US)).toEqual({ goes: IRIS });
    expect(judge(elsewhere(IRIS, { maker: US }), removing, US)).toEqual({ goes: IRIS });
    // Put back from a backup by a person.
    expect(judge(elsewhere(IRIS, { maker: "jane" }), removing, US)).toEqual({ goes: IRIS });
  });

  it("goes by the name that the version has in that namespace", () => {
    // So long that the name has another length there than where services are now.
    const [namespace, key] = ["n".repeat(27), { model: "a-name-that-is-cut-in-long-namespaces", version: "1" }];
    const name = inferenceServiceName(key, namespace);
    expect(name).not.toBe(inferenceServiceName(key, NAMESPACE));
    const former = { former: [namespace], policy: "remove" } as const;
    expect(judge(elsewhere(key, { namespace }), former, US)).toEqual({ goes: key });
    const copied = { namespace, metadata: { name: inferenceServiceName(key, NAMESPACE) } };
    expect(judge(elsewhere(key, copied), former, US)).toEqual({ left: "doubtful" });
  });

  it.each([
    ["in a namespace that is not named", elsewhere(IRIS, { namespace: "other" }), removing, US, "unnamed"],
    [
      "with the label alone there",
      elsewhere(IRIS, { namespace: "other", metadata: { name: "x" } }),
      removing,
      US,
      "not ours",
    ],
    ["with the label alone", elsewhere(IRIS, { metadata: { annotations: {} } }), removing, US, "doubtful"],
    [
      "with our annotations under another name",
      elsewhere(IRIS, { metadata: { name: "copy" } }),
      removing,
      US,
      "doubtful",
    ],
    ["without our label", elsewhere(IRIS, { metadata: { labels: {} } }), removing, US, "doubtful"],
    ["of another account", elsewhere(IRIS, { maker: "system:serviceaccount:a:b" }), removing, US, "others"],
    ["when we do not know who we are", elsewhere(), removing, undefined, "waiting"],
    ["by default", elsewhere(), { former: [OLD], policy: "keep" } as const, US, "kept"],
  ])("leaves what is there %s", (_, live, options, username, left) => {
    expect(judge(live, options, username)).toEqual({ left });
  });
});

describe("judgeMove", () => {
  const [serve, remove, wait] = [
    { kind: "serve", version: modelVersion() },
    { kind: "remove", reason: "no tag" },
    { kind: "wait", reason: "not registered" },
  ] as const;

  it.each([
    [true, undefined, "goes"],
    [false, undefined, "waiting"],
    [undefined, serve, "waiting"],
    [undefined, wait, "waiting"],
    [undefined, undefined, "waiting"],
    [undefined, remove, "untagged"],
  ] as const)("with a successor (Ready: %s) and the decision %o: %s", (successor, decision, verdict) => {
    expect(judgeMove(successor, decision)).toBe(verdict);
  });
});

interface World {
  readonly look: () => Promise<ElsewhereReport | undefined>;
  readonly old: FakeCluster;
  readonly current: FakeCluster;
  readonly listed: string[];
  pass: (milliseconds: number) => void;
}

function world(
  policy: FormerNamespacesOptions["policy"],
  live: readonly LiveInferenceService[],
  changes: Partial<FormerNamespacesOptions> = {},
): World {
  const [old, current, listed] = [fakeCluster(...live), fakeCluster(), [] as string[]];
  let time = 0;
  let report: ElsewhereReport | undefined;
  const former = createFormerNamespaces({
    listElsewhere: where => {
      listed.push("namespace" in where ? where.namespace : `all but ${where.except}`);
      return old.managedPages();
    },
    servicesIn: () => old,
    services: current,
    mlflow: fakeMlflow(),
    deployTagKey: "deploy",
    former: [OLD],
    policy,
    readOwnUsername: () => Promise.resolve(US),
    report: found => {
      report = found;
    },
    log: recordingLog().log,
    now: () => time,
    ...changes,
  });
  return {
    old,
    current,
    listed,
    pass: milliseconds => {
      time += milliseconds;
    },
    async look() {
      report = undefined;
      await former.look();
      return report;
    },
  };
}

const found = (because: string, ...first: string[]): object => ({
  namespace: OLD,
  because,
  count: first.length,
  first,
});

describe("createFormerNamespaces", () => {
  it("looks every ten minutes, and writes nothing by default", async () => {
    const { look, old, listed, pass } = world("keep", [elsewhere()]);
    expect(await look()).toEqual({ found: [found("kept", "mlflow-iris-v1")], unreadable: [] });
    pass(599_000);
    expect(await look()).toBeUndefined();
    pass(1_000);
    expect(await look()).toBeDefined();
    expect(listed).toEqual(["all but models", "all but models"]);
    expect(old.written).toEqual([]);
  });

  it("removes at once when it is to", async () => {
    const { look, old } = world("remove", [elsewhere(), elsewhere({ model: "iris", version: "2" }, { maker: US })]);
    expect(await look()).toEqual({ found: [], unreadable: [] });
    expect(old.written).toEqual(["delete mlflow-iris-v1", "delete mlflow-iris-v2"]);
  });

  it("moves each when its successor is Ready, and looks at each poll until then", async () => {
    const mlflow = fakeMlflow();
    mlflow.put(modelVersion(IRIS));
    const { look, old, current } = world("move", [elsewhere(), elsewhere({ model: "gone", version: "7" })], { mlflow });
    const waiting = [found("untagged", "mlflow-gone-v7"), found("waiting", "mlflow-iris-v1")];
    expect(await look()).toMatchObject({ found: waiting });
    current.objects.set("mlflow-iris-v1", liveService(IRIS));
    expect(await look()).toMatchObject({ found: waiting });
    expect(old.written).toEqual([]);
    current.objects.set("mlflow-iris-v1", liveService(IRIS, READY));
    expect(await look()).toMatchObject({ found: [found("untagged", "mlflow-gone-v7")] });
    expect(old.written).toEqual(["delete mlflow-iris-v1"]);
  });

  it("does not take a listed successor for one that is there", async () => {
    const { look, old, current } = world("move", [elsewhere()]);
    current.objects.set("mlflow-iris-v1", liveService(IRIS, READY));
    current.get = () => Promise.resolve(liveService(IRIS));
    expect(await look()).toMatchObject({ found: [found("waiting", "mlflow-iris-v1")] });
    expect(old.written).toEqual([]);
  });

  it("leaves what comes back after it was removed: somebody else looks after it", async () => {
    const { look, old, pass } = world("remove", [elsewhere()]);
    await look();
    old.objects.set("mlflow-iris-v1", elsewhere(IRIS, { metadata: { uid: "another" } }));
    pass(600_000);
    expect(await look()).toMatchObject({ found: [found("others", "mlflow-iris-v1")] });
    expect(old.written).toEqual(["delete mlflow-iris-v1"]);
  });

  it("looks again at an object before it removes it", async () => {
    const { look, old } = world("remove", [elsewhere()]);
    old.get = () => Promise.resolve(elsewhere(IRIS, { metadata: { labels: {} } }));
    expect(await look()).toMatchObject({ found: [found("doubtful", "mlflow-iris-v1")] });
    expect(old.written).toEqual([]);
  });

  it("tries again what changed in between, and tells what it may not do", async () => {
    const { look, old } = world("remove", [elsewhere()]);
    const refuseWith = (status: number): void => {
      old.beforeWrite = () => {
        throw new KubernetesError(status, "Refused", "refused");
      };
    };
    refuseWith(409);
    expect(await look()).toMatchObject({ found: [found("waiting", "mlflow-iris-v1")] });
    refuseWith(403);
    expect(await look()).toMatchObject({ found: [found("forbidden", "mlflow-iris-v1")] });
  });

  it("looks only where it may: not elsewhere, and not into every former namespace", async () => {
    const listed: string[] = [];
    const { look, pass } = world("keep", [], {
      former: [OLD, "older"],
      listElsewhere: where => {
        const name = "namespace" in where ? where.namespace : "all";
        listed.push(name);
        if (name !== OLD) throw new KubernetesError(403, "Forbidden", "forbidden");
        return fakeCluster(elsewhere()).managedPages();
      },
    });
    const expected = { found: [found("kept", "mlflow-iris-v1")], unreadable: ["older"] };
    expect(await look()).toEqual(expected);
    pass(600_000);
    expect(await look()).toEqual(expected);
    // What is forbidden is not asked for again and again.
    expect(listed).toEqual(["all", OLD, "older", OLD, "older"]);
  });

  it("tells once that it cannot look", async () => {
    const { log, lines } = recordingLog();
    const listElsewhere = (): never => {
      throw new KubernetesError(0, "NoAnswer", "no answer");
    };
    const { look } = world("keep", [], { listElsewhere, log });
    for (let count = 0; count < 3; count++) expect(await look()).toBeUndefined();
    expect(lines).toMatchObject([{ level: "warn", fields: { cause: "no answer" } }]);
  });
});
