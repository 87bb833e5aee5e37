import { keyOf } from "../kserve/identity";
import type { InferenceServices } from "../kserve/inference-services";
import type { LiveInferenceService } from "../kserve/live-inference-service";
import { inferenceServiceName } from "../kserve/names";
import { isReady } from "../kserve/service-state";
import type { Whereabouts } from "../kserve/services-elsewhere";
import { KubernetesError } from "../kubernetes/api-server";
import type { MlflowReader } from "../mlflow/client";
import { messageOf } from "../observability/logging";
import type { Log } from "../observability/logging";
import { BoundedCache } from "../support/bounded-cache";
import { inParallel } from "../support/in-parallel";
import { formatKey } from "../support/model-version-key";
import type { ModelVersionKey } from "../support/model-version-key";
import { decide } from "./decision";
import type { Decision } from "./decision";
import { judge, judgeMove } from "./former-namespace-judgement";
import type { Because, FormerNamespacesPolicy } from "./former-namespace-judgement";

/** Milliseconds between two looks, as long as nothing is being moved. */
const LOOK_EVERY = 600_000;

/** Services removed, or versions asked about, at the same time. */
const CONCURRENCY = 8;

/** Names of services that are told for each namespace. */
const NAMES_TOLD = 3;

/** Removed services that are remembered, to notice when they come back. */
const REMOVED_CAPACITY = 50_000;

/** Services in one namespace that are there for the same reason. */
export interface FoundElsewhere {
  readonly namespace: string;
  readonly because: Because;
  readonly count: number;
  /** The names of some of them. */
  readonly first: readonly string[];
}

/** What one look found. */
export interface ElsewhereReport {
  /** What is left after what was to go is gone, in the order of namespaces. */
  readonly found: readonly FoundElsewhere[];
  /** Namespaces of FORMER_NAMESPACES that the module may not look into. */
  readonly unreadable: readonly string[];
}

export interface FormerNamespacesOptions extends FormerNamespacesPolicy {
  /** Our services' metadata elsewhere. */
  readonly listElsewhere: (where: Whereabouts) => AsyncIterable<readonly LiveInferenceService[]>;
  readonly servicesIn: (namespace: string) => Pick<InferenceServices, "get" | "delete">;
  /** Those in KUBE_NAMESPACE. */
  readonly services: Pick<InferenceServices, "namespace" | "get" | "managedPages">;
  readonly mlflow: Pick<MlflowReader, "getModelVersion">;
  readonly deployTagKey: string;
  /** Who we are for the API server; undefined when that is not known. */
  readonly readOwnUsername: () => Promise<string | undefined>;
  /** Told of each look that succeeded. */
  readonly report: (report: ElsewhereReport) => void;
  readonly log: Log;
  /** Milliseconds on a clock that only goes forward. */
  readonly now?: () => number;
}

/** Looks after what is left of us in other namespaces than KUBE_NAMESPACE. */
export interface FormerNamespaces {
  /**
   * Looks whether InferenceServices of ours are in other namespaces, tells of them, and does with those in
   * FORMER_NAMESPACES what FORMER_NAMESPACE_SERVICES says. At most every ten minutes, but each time while services wait to
   * be moved. Never rejects: what failed is logged, and done the next time.
   */
  readonly look: () => Promise<void>;
  /** Resolves when no look is under way. */
  readonly idle: () => Promise<void>;
}

interface Candidate {
  readonly name: string;
  readonly namespace: string;
  readonly key: ModelVersionKey;
}

export function createFormerNamespaces(options: FormerNamespacesOptions): FormerNamespaces {
  const { services, mlflow, former, policy, log, now = () => performance.now() } = options;
  const removed = new BoundedCache<string>(REMOVED_CAPACITY);
  let mayListAll = true;
  let ownUsername: string | undefined;
  let nextLook = -Infinity;
  let looking: Promise<void> | undefined;
  let failure: string | undefined;

  /** All services elsewhere that we may see, page by page; namespaces that we may not look into are noted. */
  async function* pages(unreadable: string[]): AsyncGenerator<readonly LiveInferenceService[], void> {
    if (mayListAll) {
      try {
        yield* options.listElsewhere({ except: services.namespace });
        return;
      } catch (error) {
        if (!isForbidden(error)) throw error;
        mayListAll = false;
        log.debug(
          { cause: messageOf(error), namespaces: [services.namespace, ...former] },
          "Only these namespaces are looked at until the next start, the others may not be listed",
        );
      }
    }
    for (const namespace of former) {
      try {
        yield* options.listElsewhere({ namespace });
      } catch (error) {
        if (!isForbidden(error)) throw error;
        unreadable.push(namespace);
      }
    }
  }

  /** Which services in KUBE_NAMESPACE are somebody's successor, and whether each is Ready. */
  const successorsOf = async (candidates: readonly Candidate[]): Promise<ReadonlyMap<string, boolean>> => {
    const wanted = new Set(candidates.map(({ key }) => formatKey(key)));
    const successors = new Map<string, boolean>();
    if (wanted.size === 0) return successors;
    for await (const page of services.managedPages()) {
      for (const live of page) {
        const key = keyOf(live.metadata);
        if (key !== undefined && wanted.has(formatKey(key))) successors.set(formatKey(key), isReady(live));
      }
    }
    return successors;
  };

  const decisionAbout = async (key: ModelVersionKey): Promise<Decision | undefined> => {
    try {
      return decide(await mlflow.getModelVersion(key), options.deployTagKey);
    } catch (error) {
      log.debug(
        { model: key.model, version: key.version, cause: messageOf(error) },
        "MLflow did not say what it wants",
      );
      return undefined;
    }
  };

  /** Whether the successor is Ready at this moment: the list may be minutes old. */
  const isServed = async (key: ModelVersionKey): Promise<boolean> => {
    const live = await services.get(inferenceServiceName(key, services.namespace));
    const found = live === undefined ? undefined : keyOf(live.metadata);
    if (live === undefined || found === undefined || formatKey(found) !== formatKey(key)) return false;
    return isReady(live);
  };

  /** @returns why it is still there; undefined when it is gone */
  const remove = async ({ name, namespace, key }: Candidate): Promise<Because | undefined> => {
    const id = `${namespace}/${name}`;
    try {
      const there = options.servicesIn(namespace);
      const live = await there.get(name);
      if (live === undefined || live.metadata.deletionTimestamp !== undefined) return undefined;
      const judgement = judge(live, options, ownUsername);
      if ("left" in judgement) return judgement.left === "not ours" ? "doubtful" : judgement.left;
      if (removed.get(id) !== undefined && removed.get(id) !== live.metadata.uid) return "others";
      if (policy === "move" && !(await isServed(key))) return "waiting";
      await there.delete(live);
      removed.set(id, live.metadata.uid);
      const about = { model: key.model, version: key.version, inference_service: name, namespace };
      log.info(about, `InferenceService in a former namespace removed, as FORMER_NAMESPACE_SERVICES=${policy} says`);
      return undefined;
    } catch (error) {
      if (isForbidden(error)) return "forbidden";
      log.debug({ inference_service: name, namespace, cause: messageOf(error) }, "Not removed, tried again next time");
      return "waiting";
    }
  };

  const fateOf = async (
    candidate: Candidate,
    successors: ReadonlyMap<string, boolean>,
  ): Promise<Because | undefined> => {
    if (policy === "move") {
      const successor = successors.get(formatKey(candidate.key));
      const decision = successor === undefined ? await decisionAbout(candidate.key) : undefined;
      const verdict = judgeMove(successor, decision);
      if (verdict !== "goes") return verdict;
    }
    return await remove(candidate);
  };

  const lookNow = async (): Promise<void> => {
    if (policy !== "keep" && former.length > 0) ownUsername ??= await options.readOwnUsername();
    const left = createTally();
    const unreadable: string[] = [];
    const candidates: Candidate[] = [];
    for await (const page of pages(unreadable)) {
      for (const live of page) {
        const { name, namespace, deletionTimestamp } = live.metadata;
        if (deletionTimestamp !== undefined) continue;
        const judgement = judge(live, options, ownUsername);
        if ("goes" in judgement) candidates.push({ name, namespace, key: judgement.goes });
        else if (judgement.left !== "not ours") left.add(namespace, judgement.left, name);
      }
    }
    const successors = policy === "move" ? await successorsOf(candidates) : new Map<string, boolean>();
    await inParallel(candidates, CONCURRENCY, async candidate => {
      const because = await fateOf(candidate, successors);
      if (because !== undefined) left.add(candidate.namespace, because, candidate.name);
    });
    const found = left.found();
    if (!found.some(({ because }) => because === "waiting")) nextLook = now() + LOOK_EVERY;
    options.report({ found, unreadable });
  };

  return {
    look() {
      if (now() < nextLook) return Promise.resolve();
      looking ??= lookNow()
        .then(
          () => {
            failure = undefined;
          },
          (error: unknown) => {
            const cause = messageOf(error);
            const message =
              "It is not known whether InferenceServices are in other namespaces; the next poll looks again";
            if (cause !== failure) log.warn({ cause }, message);
            failure = cause;
          },
        )
        .finally(() => {
          looking = undefined;
        });
      return looking;
    },
    idle: async () => await looking,
  };
}

function isForbidden(error: unknown): boolean {
  return error instanceof KubernetesError && error.status === 403;
}

/** Counts services by namespace and reason, and keeps a few names of each. */
function createTally(): {
  add: (namespace: string, because: Because, name: string) => void;
  found: () => FoundElsewhere[];
} {
  const groups = new Map<string, { namespace: string; because: Because; count: number; first: string[] }>();
  return {
    add(namespace, because, name) {
      const id = `${namespace} ${because}`;
      const group = groups.get(id) ?? { namespace, because, count: 0, first: [] };
      groups.set(id, group);
      group.count++;
      if (group.first.length < NAMES_TOLD) group.first.push(name);
    },
    found: () => [...groups].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, group]) => group),
  };
}
