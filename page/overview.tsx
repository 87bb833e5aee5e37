import type { JSX } from "preact";
import { memo } from "preact/compat";
import { useEffect, useMemo, useState } from "preact/hooks";
import { STATE_WORDS } from "../capabilities/status/published";
import type { PublishedVersion, StateWord } from "../capabilities/status/published";
import { counted, filtered, idOf, namespacesOf, NO_FILTER, sorted } from "./listing";
import type { Filter } from "./listing";
import { Address, Age, Copy, Foreign, Heading, PAGE_SIZE, Pager, State, VersionLink } from "./parts";
import { numberText } from "./text";

/** What the browser's clock of performance calls the moment before the versions are first painted. */
const SHOWN = "versions shown";

/** Every version with its state, what is wrong on top. */
export function Overview({
  versions,
  filter,
  onFilter,
  isLoading,
}: {
  readonly versions: ReadonlyMap<string, PublishedVersion>;
  readonly filter: Filter;
  readonly onFilter: (filter: Filter) => void;
  readonly isLoading: boolean;
}): JSX.Element {
  const all = useMemo(() => sorted(versions.values()), [versions]);
  const counts = useMemo(() => counted(all), [all]);
  const namespaces = useMemo(() => namespacesOf(all), [all]);
  const shown = useMemo(() => filtered(all, filter), [all, filter]);
  const [wantedPage, setPage] = useState(0);
  const page = Math.min(wantedPage, Math.max(0, Math.ceil(shown.length / PAGE_SIZE) - 1));
  const change = (changes: Partial<Filter>): void => {
    setPage(0);
    onFilter({ ...filter, ...changes });
  };
  const toggle = (word: StateWord): void => {
    const { states } = filter;
    change({ states: states.includes(word) ? states.filter(other => other !== word) : [...states, word] });
  };
  useEffect(() => {
    if (!isLoading && performance.getEntriesByName(SHOWN).length === 0)
      requestAnimationFrame(() => performance.mark(SHOWN));
  }, [isLoading]);
  const isFiltered = shown.length < all.length;

  return (
    <>
      <Heading>Versions</Heading>
      <div class="tools">
        <div class="states" role="group" aria-label="Filter by state">
          {STATE_WORDS.map(word => (
            <button
              key={word}
              type="button"
              class={`chip ${word.toLowerCase()}${counts.get(word) === 0 ? " empty" : ""}`}
              aria-pressed={filter.states.includes(word)}
              onClick={() => {
                toggle(word);
              }}
            >
              <span class="dot" />
              {word} <b>{numberText(counts.get(word) ?? 0)}</b>
            </button>
          ))}
        </div>
        <label class="search">
          <span class="unseen">Search</span>
          <input
            type="search"
            placeholder="Search name, address, cause"
            value={filter.search}
            spellcheck={false}
            autocomplete="off"
            onInput={event => {
              change({ search: event.currentTarget.value });
            }}
          />
        </label>
        <label class="namespace">
          <span class="unseen">Namespace</span>
          <select
            value={filter.namespace}
            onChange={event => {
              change({ namespace: event.currentTarget.value });
            }}
          >
            <option value="">All namespaces</option>
            {[...new Set([...namespaces, filter.namespace])].filter(Boolean).map(name => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
      <p class="count" role="status">
        {isLoading
          ? "Reading the versions…"
          : `${numberText(shown.length)} ${isFiltered ? `of ${numberText(all.length)} ` : ""}${all.length === 1 ? "version" : "versions"}`}
        {isFiltered && (
          <button
            type="button"
            class="plain"
            onClick={() => {
              change(NO_FILTER);
            }}
          >
            Show all
          </button>
        )}
      </p>
      {shown.length > 0 && (
        <div class="table versions" role="table" aria-label="Versions" aria-rowcount={shown.length + 1}>
          <div class="row head" role="row" aria-rowindex={1}>
            <span role="columnheader">State</span>
            <span role="columnheader">Model and version</span>
            <span role="columnheader">Address and cause</span>
            <span role="columnheader">Since</span>
          </div>
          {shown.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE).map((version, index) => (
            <Row key={idOf(version)} version={version} index={page * PAGE_SIZE + index + 2} />
          ))}
        </div>
      )}
      {!isLoading && shown.length === 0 && (
        <p class="nothing">
          {all.length === 0
            ? "No version is deployed. Give one the tag deploy=true in MLflow, and it appears here."
            : "No version is like that."}
        </p>
      )}
      <Pager total={shown.length} page={page} onPage={setPage} what="versions" />
    </>
  );
}

/** Drawn anew only for another version or place: a change of one does not touch the others. */
const Row = memo(function Row({
  version,
  index,
}: {
  readonly version: PublishedVersion;
  readonly index: number;
}): JSX.Element {
  const { model, version: number, namespace, inferenceService, state } = version;
  return (
    <div class="row" role="row" aria-rowindex={index} data-state={state.word}>
      <span role="cell">
        <State word={state.word} />
      </span>
      <span role="cell" class="name">
        <VersionLink of={version} />
        <span class="muted">
          <Foreign text={inferenceService === undefined ? namespace : `${namespace}/${inferenceService}`} />
        </span>
      </span>
      <span role="cell" class="about">
        {state.url !== undefined && (
          <span class="address">
            <span class="url">
              <Address url={state.url} />
            </span>
            <Copy text={state.url} what={`the address of ${model} version ${number}`} />
          </span>
        )}
        {state.cause !== undefined && (
          <span class="cause">
            <Foreign text={state.cause} />
          </span>
        )}
        {state.url === undefined && state.cause === undefined && <span class="muted">no address</span>}
      </span>
      <span role="cell" class="since">
        <Age at={state.since} />
      </span>
    </div>
  );
});
