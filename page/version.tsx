import type { JSX } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import type { ChainStep, VersionDetail } from "../capabilities/status/published";
import type { ModelVersionKey } from "../capabilities/support/model-version-key";
import type { HistoryAnswer } from "../capabilities/server/page/wire";
import { ChangeTable } from "./changes";
import { Address, Age, Copy, Foreign, Heading, Now, Problem, Section, State, useTicks } from "./parts";
import { useReading } from "./reading";
import { clockText, durationText, linkable, momentText } from "./text";

const STEPS: Readonly<Record<ChainStep["step"], string>> = {
  delivery: "Delivery",
  apply: "Applied",
  pod: "Pod",
  download: "Downloaded",
  load: "Server started",
  ready: "Ready",
};

/** Milliseconds from one reading to the next, on the way to Ready and afterwards. */
const [OFTEN, SELDOM] = [5_000, 30_000];

/** One version, with all that is known of it. @param occasion of which a change means that it is to be read again */
export function Version({ of, occasion }: { readonly of: ModelVersionKey; readonly occasion: unknown }): JSX.Element {
  const query = new URLSearchParams({ model: of.model, version: of.version }).toString();
  // On its way, its pod goes from step to step while its state stays the same.
  const [isReady, setReady] = useState(false);
  const ticks = useTicks(isReady ? SELDOM : OFTEN);
  const detail = useReading<VersionDetail>(`page/version?${query}`, occasion, ticks);
  const word = detail.value?.state.word;
  useEffect(() => {
    setReady(word === "Ready");
  }, [word]);
  const history = useReading<HistoryAnswer>(`page/history?${query}`, occasion);
  return (
    <>
      <p class="back">
        <a href="#/">All versions</a>
      </p>
      <Heading>
        <Foreign text={of.model} />{" "}
        <span class="number">
          v<Foreign text={of.version} />
        </span>
      </Heading>
      {detail.problem !== undefined && <Problem text={detail.problem} />}
      {detail.value === undefined ? (
        detail.problem === undefined && <p class="nothing">Reading…</p>
      ) : (
        <Detail detail={detail.value} />
      )}
      <Section title="Changes since the module started">
        {history.problem !== undefined && <Problem text={history.problem} />}
        <ChangeTable changes={history.value?.changes ?? []} withVersion={false} />
      </Section>
    </>
  );
}

function Detail({ detail }: { readonly detail: VersionDetail }): JSX.Element {
  const { state, chain, request } = detail;
  return (
    <>
      <div class={`verdict ${state.word.toLowerCase()}`}>
        <State word={state.word} />
        {state.since !== undefined && (
          <span>
            since {momentText(state.since)} (<Age at={state.since} />)
          </span>
        )}
        {state.cause !== undefined && (
          <p>
            <Foreign text={state.cause} />
          </p>
        )}
      </div>
      <Section title="From the tag to the first answer">
        <Chain steps={chain} />
      </Section>
      <Section title="What it is">
        <Facts detail={detail} />
      </Section>
      {request !== undefined && (
        <Section title="Ask it for a prediction">
          <Code title="curl" text={request.curl} />
          <Code title="Python" text={request.python} />
        </Section>
      )}
    </>
  );
}

/** The steps in their order, each with its time and how long it took from the one before. */
function Chain({ steps }: { readonly steps: readonly ChainStep[] }): JSX.Element {
  const now = useContext(Now);
  let before: number | undefined;
  const next = steps.findIndex(({ at }) => at === undefined);
  return (
    <ol class="chain">
      {steps.map(({ step, at, problem }, index) => {
        const took = at === undefined || before === undefined ? undefined : at - before;
        const waiting = index === next && before !== undefined && problem === undefined ? now - before : undefined;
        before = at ?? before;
        const kind = problem !== undefined ? "broken" : at !== undefined ? "done" : index === next ? "next" : "open";
        return (
          <li key={step} class={kind}>
            <b>{STEPS[step]}</b>
            {at === undefined ? (
              problem === undefined && (
                <span class="muted">
                  not yet{waiting !== undefined && `, ${durationText(Math.max(0, waiting))} so far`}
                </span>
              )
            ) : (
              <time dateTime={new Date(at).toISOString()} title={momentText(at)}>
                {clockText(at)}
              </time>
            )}
            {took !== undefined && <span class="took">+{durationText(took)}</span>}
            {problem !== undefined && (
              <span class="trouble">
                <Foreign text={problem} />
              </span>
            )}
          </li>
        );
      })}
    </ol>
  );
}

function Facts({ detail }: { readonly detail: VersionDetail }): JSX.Element {
  const { model, version, namespace, inferenceService, state, source, runId, labels } = detail;
  const entries = Object.entries(labels);
  const [versionPage, runPage] = [linkable(detail.versionPage), linkable(detail.runPage)];
  return (
    <dl class="facts">
      <Fact name="Address">
        {state.url !== undefined && (
          <>
            <Address url={state.url} /> <Copy text={state.url} what={`the address of ${model} version ${version}`} />
          </>
        )}
      </Fact>
      <Fact name="InferenceService">
        <Foreign text={inferenceService === undefined ? `none, in ${namespace}` : `${namespace}/${inferenceService}`} />
      </Fact>
      <Fact name="Source">{source !== undefined && <Address url={source} />}</Fact>
      <Fact name="Run">
        {runId !== undefined &&
          (runPage === undefined ? (
            <Foreign text={runId} />
          ) : (
            <a href={runPage} target="_blank" rel="noopener noreferrer">
              <Foreign text={runId} />
            </a>
          ))}
      </Fact>
      {versionPage !== undefined && (
        <Fact name="In MLflow">
          <a href={versionPage} target="_blank" rel="noopener noreferrer">
            The version's page
          </a>
        </Fact>
      )}
      <Fact name="Labels">
        {entries.length > 0 && (
          <ul class="labels">
            {entries.map(([name, value]) => (
              <li key={name}>
                <Foreign text={name} />
                <span class="muted">=</span>
                <Foreign text={value} />
              </li>
            ))}
          </ul>
        )}
      </Fact>
    </dl>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: JSX.Element | boolean }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{typeof children === "boolean" ? <span class="muted">none</span> : children}</dd>
    </div>
  );
}

/** Commands, to be read and copied. */
function Code({ title, text }: { readonly title: string; readonly text: string }): JSX.Element {
  return (
    <figure class="code">
      <figcaption>
        {title}
        <Copy text={text} what={`the request with ${title}`} />
      </figcaption>
      {/* It scrolls sideways, so the keyboard has to get there. */}
      <pre tabIndex={0} role="region" aria-label={`Request with ${title}`}>
        <code>{text}</code>
      </pre>
    </figure>
  );
}
