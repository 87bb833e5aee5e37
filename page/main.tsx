import type { JSX } from "preact";
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { StateWord } from "../capabilities/status/published";
import { Changes } from "./changes";
import { followVersions, NOTHING } from "./live";
import type { Live } from "./live";
import { idOf } from "./listing";
import { Module } from "./module";
import { Overview } from "./overview";
import { Foreign, Now } from "./parts";
import { hashOf, placeOf } from "./place";
import type { Place } from "./place";
import { clockText, visible } from "./text";
import { Version } from "./version";

/** Milliseconds after which ages are counted anew. */
const TICK = 5_000;

/** States that a person has to act on. */
const WRONG: readonly StateWord[] = ["Failed", "Refused", "Conflict"];

function usePlace(): [Place, (place: Place) => void] {
  const [place, setPlace] = useState(() => placeOf(location.hash));
  useEffect(() => {
    const changed = (): void => {
      setPlace(placeOf(location.hash));
    };
    addEventListener("hashchange", changed);
    return () => {
      removeEventListener("hashchange", changed);
    };
  }, []);
  const replace = (to: Place): void => {
    // Typing is no place to go back to.
    history.replaceState(null, "", hashOf(to));
    setPlace(to);
  };
  return [place, replace];
}

function useNow(live: Live): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      setNow(Date.now());
    }, TICK);
    return () => {
      clearInterval(timer);
    };
  }, []);
  return Math.max(now, live.at ?? 0);
}

function titleOf(place: Place, live: Live): string {
  const wrong = [...live.versions.values()].filter(({ state }) => WRONG.includes(state.word)).length;
  const names: Readonly<Record<Place["view"], string>> = {
    versions: "Versions",
    version: place.view === "version" ? `${visible(place.key.model)} v${visible(place.key.version)}` : "",
    module: "Module",
    changes: "Changes",
  };
  return `${wrong === 0 ? "" : `(${wrong}) `}${names[place.view]} · mlflow-kserve`;
}

/** What changes when something of the view's is to be read again. */
function occasionOf(place: Place, live: Live): unknown {
  if (place.view !== "version") return live.connection === "lost" ? "lost" : live.versions;
  return live.connection === "lost" ? "lost" : (live.versions.get(idOf(place.key)) ?? "gone");
}

function Page(): JSX.Element {
  const [live, setLive] = useState(NOTHING);
  const [place, replace] = usePlace();
  const now = useNow(live);
  useEffect(() => followVersions(setLive), []);
  const occasion = occasionOf(place, live);

  const title = titleOf(place, live);
  useEffect(() => {
    document.title = title;
  }, [title]);

  // Who goes on to another view, by keyboard or by ear, begins at its heading.
  const at = place.view === "version" ? idOf(place.key) : place.view;
  const first = useRef(at);
  useEffect(() => {
    if (first.current === at) return;
    first.current = "";
    window.scrollTo({ top: 0 });
    document.getElementById("heading")?.focus({ preventScroll: true });
  }, [at]);

  return (
    <Now.Provider value={now}>
      <a
        class="skip"
        href="#heading"
        onClick={event => {
          // The hash is the place's.
          event.preventDefault();
          document.getElementById("heading")?.focus();
        }}
      >
        Skip to the content
      </a>
      <header>
        <a class="brand" href="#/">
          mlflow-kserve
        </a>
        <nav aria-label="Views">
          <Tab
            to={{ view: "versions", filter: { search: "", states: [], namespace: "" } }}
            name="Versions"
            now={place}
          />
          <Tab to={{ view: "module" }} name="Module" now={place} />
          <Tab to={{ view: "changes" }} name="Changes" now={place} />
        </nav>
        <span class={`connection ${live.connection}`} role="status">
          <span class="dot" />
          {live.connection === "live" ? "Live" : live.connection === "loading" ? "Connecting…" : "Not live"}
        </span>
      </header>
      {live.connection === "lost" && (
        <div class="banner" role="alert">
          <b>Out of date.</b>{" "}
          {live.at === undefined ? "Nothing could be read yet" : `What is shown is as of ${clockText(live.at)}`}:{" "}
          <Foreign text={live.problem ?? "the connection to the module is lost"} />. Trying again.
        </div>
      )}
      <main>
        <View place={place} replace={replace} live={live} occasion={occasion} />
      </main>
    </Now.Provider>
  );
}

function View({
  place,
  replace,
  live,
  occasion,
}: {
  readonly place: Place;
  readonly replace: (place: Place) => void;
  readonly live: Live;
  readonly occasion: unknown;
}): JSX.Element {
  switch (place.view) {
    case "versions":
      return (
        <Overview
          versions={live.versions}
          filter={place.filter}
          onFilter={filter => {
            replace({ view: "versions", filter });
          }}
          isLoading={live.at === undefined}
        />
      );
    case "version":
      return <Version key={idOf(place.key)} of={place.key} occasion={occasion} />;
    case "module":
      return <Module occasion={occasion} />;
    case "changes":
      return <Changes occasion={occasion} />;
  }
}

function Tab({ to, name, now }: { readonly to: Place; readonly name: string; readonly now: Place }): JSX.Element {
  const isHere = now.view === to.view || (now.view === "version" && to.view === "versions");
  return (
    <a href={hashOf(to)} aria-current={isHere ? "page" : undefined}>
      {name}
    </a>
  );
}

const root = document.getElementById("page");
if (root !== null) render(<Page />, root);
