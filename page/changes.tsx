import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { StateChange } from "../capabilities/status/published";
import type { HistoryAnswer } from "../capabilities/server/page/wire";
import { Foreign, Heading, PAGE_SIZE, Pager, Problem, State, VersionLink } from "./parts";
import { useReading } from "./reading";
import { momentText } from "./text";

/** What changed since the module started, the newest first. */
export function Changes({ occasion }: { readonly occasion: unknown }): JSX.Element {
  const { value, problem } = useReading<HistoryAnswer>("page/history", occasion);
  return (
    <>
      <Heading>Changes</Heading>
      <p class="count">Since the module started, the newest first</p>
      {problem !== undefined && <Problem text={problem} />}
      {value === undefined ? (
        problem === undefined && <p class="nothing">Reading…</p>
      ) : (
        <ChangeTable changes={value.changes} withVersion />
      )}
    </>
  );
}

/** Changes of states. @param withVersion false where all are of one version */
export function ChangeTable({
  changes,
  withVersion,
}: {
  readonly changes: readonly StateChange[];
  readonly withVersion: boolean;
}): JSX.Element {
  const [wantedPage, setPage] = useState(0);
  if (changes.length === 0) return <p class="nothing">Nothing has changed.</p>;
  const page = Math.min(wantedPage, Math.ceil(changes.length / PAGE_SIZE) - 1);
  return (
    <>
      <div class={`table changes${withVersion ? " named" : ""}`} role="table" aria-label="Changes">
        <div class="row head" role="row">
          <span role="columnheader">When</span>
          {withVersion && <span role="columnheader">Model and version</span>}
          <span role="columnheader">From and to</span>
          <span role="columnheader">Cause</span>
        </div>
        {changes.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE).map((change, index) => (
          <div class="row" role="row" key={`${change.at} ${index}`}>
            <span role="cell" class="when">
              <time dateTime={new Date(change.at).toISOString()}>{momentText(change.at)}</time>
            </span>
            {withVersion && (
              <span role="cell" class="name">
                <VersionLink of={change} />
              </span>
            )}
            <span role="cell" class="transition">
              <State word={change.before} />
              <span class="arrow" />
              <span class="unseen">to</span>
              <State word={change.after} />
            </span>
            <span role="cell" class="why">
              {change.cause === undefined ? "" : <Foreign text={change.cause} />}
            </span>
          </div>
        ))}
      </div>
      <Pager total={changes.length} page={page} onPage={setPage} what="changes" />
    </>
  );
}
