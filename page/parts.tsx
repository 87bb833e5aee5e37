import type { ComponentChildren, JSX } from "preact";
import { createContext } from "preact";
import { useContext, useEffect, useRef, useState } from "preact/hooks";
import type { StateWord } from "../capabilities/status/published";
import type { ModelVersionKey } from "../capabilities/support/model-version-key";
import { hashOf } from "./place";
import { ageText, linkable, momentText, numberText, visible } from "./text";

/** The time that ages are counted from; it goes on while the page is open. */
export const Now = createContext(0);

/** Milliseconds for which a button says that it has copied. */
const COPIED_FOR = 2_000;

/** A text that somebody else wrote, whatever its direction. */
export function Foreign({ text }: { readonly text: string }): JSX.Element {
  return <bdi>{visible(text)}</bdi>;
}

/** A state, by colour and word. */
export function State({ word }: { readonly word: StateWord | undefined }): JSX.Element {
  return word === undefined ? (
    <span class="state none">none</span>
  ) : (
    <span class={`state ${word.toLowerCase()}`}>{word}</span>
  );
}

/** How long ago something was; the moment itself where one points at it. */
export function Age({ at }: { readonly at: number | undefined }): JSX.Element | null {
  const now = useContext(Now);
  if (at === undefined) return null;
  const moment = momentText(at);
  return (
    <time dateTime={new Date(at).toISOString()} title={moment}>
      {ageText(now - at)}
    </time>
  );
}

/** A link to one version, with its name. */
export function VersionLink({ of }: { readonly of: ModelVersionKey }): JSX.Element {
  return (
    <a class="version" href={hashOf({ view: "version", key: { model: of.model, version: of.version } })}>
      <Foreign text={of.model} />{" "}
      <span class="number">
        v<Foreign text={of.version} />
      </span>
    </a>
  );
}

/** An address: a link where it is one of http or https, else its text. */
export function Address({ url }: { readonly url: string }): JSX.Element {
  const href = linkable(url);
  if (href === undefined) return <Foreign text={url} />;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer">
      <Foreign text={url} />
    </a>
  );
}

/** A button that copies a text, and says so. @param what it is, for who does not see where the button stands */
export function Copy({ text, what }: { readonly text: string; readonly what: string }): JSX.Element {
  const [said, setSaid] = useState("");
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (said === "") return undefined;
    const timer = setTimeout(() => {
      setSaid("");
    }, COPIED_FOR);
    return () => {
      clearTimeout(timer);
    };
  }, [said]);
  const copy = async (): Promise<void> => {
    setSaid((await copied(text)) ? "Copied" : "Not allowed");
    button.current?.focus();
  };
  return (
    <>
      <button ref={button} type="button" class="copy" aria-label={`Copy ${what}`} onClick={() => void copy()}>
        {said === "" ? "Copy" : said}
      </button>
      <span role="status" class="unseen">
        {said}
      </span>
    </>
  );
}

async function copied(text: string): Promise<boolean> {
  // Browsers have it only where they trust the connection: HTTPS, or this machine.
  if (window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Not allowed; the old way may be.
    }
  }
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way without a trusted connection
  const isCopied = document.execCommand("copy");
  field.remove();
  return isCopied;
}

/** A part of a view, with its heading. */
export function Section({
  title,
  children,
}: {
  readonly title: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <section class="panel">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/** The heading of a view, which has the focus when one comes to it. */
export function Heading({ children }: { readonly children: ComponentChildren }): JSX.Element {
  return (
    <h1 id="heading" tabIndex={-1}>
      {children}
    </h1>
  );
}

/** That something could not be read. */
export function Problem({ text }: { readonly text: string }): JSX.Element {
  return (
    <p class="problem" role="alert">
      <Foreign text={text} />
    </p>
  );
}

/** Rows on one page of a long list. */
export const PAGE_SIZE = 100;

/** What of a long list is shown, and the buttons to go on. */
export function Pager({
  total,
  page,
  onPage,
  what,
}: {
  readonly total: number;
  readonly page: number;
  readonly onPage: (page: number) => void;
  readonly what: string;
}): JSX.Element | null {
  const pages = Math.ceil(total / PAGE_SIZE);
  if (pages <= 1) return null;
  const go = (to: number): void => {
    onPage(to);
    window.scrollTo({ top: 0 });
  };
  return (
    <nav class="pager" aria-label={`Pages of ${what}`}>
      <button
        type="button"
        disabled={page === 0}
        onClick={() => {
          go(page - 1);
        }}
      >
        Previous
      </button>
      <span>
        {numberText(page * PAGE_SIZE + 1)}–{numberText(Math.min(total, (page + 1) * PAGE_SIZE))} of {numberText(total)}
      </span>
      <button
        type="button"
        disabled={page >= pages - 1}
        onClick={() => {
          go(page + 1);
        }}
      >
        Next
      </button>
    </nav>
  );
}

/** A number that grows again and again, while somebody looks. */
export function useTicks(interval: number): number {
  const [ticks, setTicks] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") setTicks(count => count + 1);
    }, interval);
    return () => {
      clearInterval(timer);
    };
  }, [interval]);
  return ticks;
}
