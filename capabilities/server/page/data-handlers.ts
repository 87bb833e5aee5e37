import { messageOf } from "../../observability/logging";
import { VERSION } from "../../observability/health";
import type { PageSource, StateChange } from "../../status/published";
import { foreignText } from "../../support/foreign-text";
import type { ModelVersionKey } from "../../support/model-version-key";
import { busyAnswer, errorAnswer } from "../answers";
import type { Answer, RenderedAnswer } from "../answers";
import type { Handler } from "../http-server";
import { DATA_HEADERS } from "./page-headers";
import { createSharedReads } from "../shared-reads";
import type { HistoryAnswer, ModuleAnswer } from "./wire";

/** Characters of a model's name and of a version that are looked for. */
const MAXIMUM_MODEL_LENGTH = 1_000;
const MAXIMUM_VERSION_LENGTH = 100;

/** Versions that are read at once for all open pages: MLflow and the API server have other things to do. */
const MAXIMUM_READS = 4;

/** Milliseconds that what was read is given out again. */
const REUSE = 1_000;

/** Versions that are kept for that: more than are read in that time. */
const CAPACITY = 1_000;

const BUSY_RETRY_AFTER = 1;

/** `GET /page/version?model=…&version=…`: one version in detail. */
export function createVersionHandler(source: Pick<PageSource, "detail">): Handler {
  const reads = createSharedReads<RenderedAnswer | undefined>({
    maximumReads: MAXIMUM_READS,
    reuse: () => REUSE,
    capacity: CAPACITY,
  });
  const read = async (key: ModelVersionKey): Promise<RenderedAnswer | undefined> => {
    const detail = await source.detail(key);
    return detail && rendered(detail);
  };
  return async ({ query }) => {
    const key = keyIn(query);
    if (key === undefined || "problem" in key)
      return errorAnswer(400, key?.problem ?? "the parameters are model and version");
    return await answered(async () => {
      const reading = reads.read(JSON.stringify([key.model, key.version]), () => read(key));
      if (reading === undefined)
        return busyAnswer(503, `${MAXIMUM_READS} versions are being read already; try again`, BUSY_RETRY_AFTER);
      return (await reading) ?? errorAnswer(404, "there is no such version, or it is not deployed any more");
    });
  };
}

/** `GET /page/module`: the module itself. */
export function createModuleHandler(source: Pick<PageSource, "moduleView">): Handler {
  const reads = createSharedReads<RenderedAnswer>({ maximumReads: 1, reuse: () => REUSE, capacity: 1 });
  const read = async (): Promise<RenderedAnswer> => {
    const answer: ModuleAnswer = { ...(await source.moduleView()), version: VERSION, at: Date.now() };
    return rendered(answer);
  };
  return () =>
    answered(async () => {
      return (await reads.read("module", read)) ?? busyAnswer(503, "it is being read; try again", BUSY_RETRY_AFTER);
    });
}

/** `GET /page/history`: what changed since the start; with `?model=…&version=…` of one version. */
export function createHistoryHandler(source: Pick<PageSource, "history">): Handler {
  return ({ query }) => {
    const key = keyIn(query);
    if (key !== undefined && "problem" in key) return Promise.resolve(errorAnswer(400, key.problem));
    return answered(() => {
      const isWanted = (change: StateChange): boolean =>
        key === undefined || (change.model === key.model && change.version === key.version);
      const answer: HistoryAnswer = { changes: source.history().filter(isWanted) };
      return Promise.resolve(rendered(answer));
    });
  };
}

function rendered(value: object): RenderedAnswer {
  return { status: 200, json: Buffer.from(JSON.stringify(value)), headers: DATA_HEADERS };
}

async function answered(act: () => Promise<Answer>): Promise<Answer> {
  try {
    return await act();
  } catch (error) {
    return errorAnswer(500, foreignText(messageOf(error)));
  }
}

/** @returns undefined when none is named */
function keyIn(query: URLSearchParams): ModelVersionKey | { readonly problem: string } | undefined {
  const names = [...query.keys()];
  if (names.length === 0) return undefined;
  const [model, version] = [query.get("model"), query.get("version")];
  if (model === null || version === null || names.length !== 2)
    return { problem: "the parameters are model and version" };
  if (model.length > MAXIMUM_MODEL_LENGTH || version.length > MAXIMUM_VERSION_LENGTH)
    return { problem: "there is no model or version with such a long name" };
  return { model, version };
}
