import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { PageSource } from "../../status/published";
import { errorAnswer } from "../answers";
import type { RenderedAnswer } from "../answers";
import type { Handler } from "../http-server";
import type { Cursors } from "./cursor";
import { acceptsGzip, DATA_HEADERS } from "./page-headers";
import type { VersionsAnswer } from "./wire";

const compress = promisify(gzip);

/**
 * A snapshot is given out again, though there is a newer revision, for so many times as long as it took to render: whatever
 * changes and however often it is asked for, a small part of this process's time goes into it. What it lacks, its cursor lets
 * the events tell.
 */
const REUSE_FACTOR = 10;

/** An empty page would say that nothing is served. */
const NOT_YET =
  "MLflow has not been compared with the cluster since the module started, so that nobody knows what there is; the view Module has the cause";

interface Snapshot {
  readonly revision: number;
  readonly json: Buffer;
  /** By `performance.now()`. */
  readonly goodUntil: number;
  compressed?: Promise<Buffer>;
}

/** `GET /page/versions`: all versions, rendered and compressed once for each revision, whoever asks. */
export function createSnapshotHandler(source: Pick<PageSource, "snapshot" | "isComplete">, cursors: Cursors): Handler {
  let latest: Snapshot | undefined;
  const render = (): Snapshot => {
    const start = performance.now();
    if (latest !== undefined && start < latest.goodUntil) return latest;
    const { revision, versions } = source.snapshot();
    if (latest?.revision === revision) return latest;
    const answer: VersionsAnswer = { cursor: cursors.of(revision), versions };
    const json = Buffer.from(JSON.stringify(answer));
    const end = performance.now();
    latest = { revision, json, goodUntil: end + (end - start) * REUSE_FACTOR };
    return latest;
  };
  return async ({ header }) => {
    if (!source.isComplete()) return { ...errorAnswer(503, NOT_YET), headers: DATA_HEADERS };
    const snapshot = render();
    const headers = { ...DATA_HEADERS, vary: "accept-encoding" };
    if (!acceptsGzip(header("accept-encoding"))) return { status: 200, json: snapshot.json, headers };
    const json = await (snapshot.compressed ??= compress(snapshot.json));
    const answer: RenderedAnswer = { status: 200, json, headers: { ...headers, "content-encoding": "gzip" } };
    return answer;
  };
}
