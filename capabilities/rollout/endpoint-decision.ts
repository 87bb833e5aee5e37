/** What must survive a restart, and so is kept in the cluster: whose pods get an endpoint's traffic, and whose did before. */
export interface EndpointState {
  /** The version that gets the traffic. */
  readonly version: string;
  /** The one before, whose service stays for a while: to go back to it takes no start. */
  readonly former?: FormerVersion | undefined;
}

export interface FormerVersion {
  readonly version: string;
  /** Until when it stays: Unix milliseconds. */
  readonly until: number;
}

/** All that one model's endpoint depends on. */
export interface EndpointFacts {
  /** The version that the champion's alias is on; undefined where it is on none. */
  readonly champion: string | undefined;
  /** Why the endpoint is not to go to the champion, Ready or not; undefined when nothing speaks against it. */
  readonly objection: Objection | undefined;
  /** The versions that are Ready, and not on their way out. */
  readonly ready: ReadonlySet<string>;
  /** The endpoint as it is; undefined where there is none. */
  readonly current: EndpointState | undefined;
  /** Unix milliseconds. */
  readonly now: number;
  /** Milliseconds that a former version stays. */
  readonly keepFormer: number;
}

/** What speaks against a champion: a tag of its own, or that what serves is a version of the same name of another MLflow. */
export type Objection = "champion vetoed" | "champion is another";

/** Why the traffic is not where the alias is. */
export type EndpointWait = Objection | "no champion" | "champion is not Ready";

export interface EndpointDecision {
  /** The endpoint as it should be; undefined as long as nothing has been Ready. */
  readonly state: EndpointState | undefined;
  readonly wait: EndpointWait | undefined;
}

/**
 * Where a model's endpoint leads: to the champion, as soon as that is Ready, and until then to where it led before, whatever
 * became of that. What nobody serves gets nothing, and what served stays in place until something better does.
 */
export function decideEndpoint(facts: EndpointFacts): EndpointDecision {
  const { champion, current } = facts;
  const wait = reasonToWait(facts);
  if (wait !== undefined || champion === undefined)
    return { state: current && withoutExpired(current, facts.now), wait };
  if (current === undefined) return { state: { version: champion }, wait };
  if (current.version === champion) return { state: withoutExpired(current, facts.now), wait };
  const former = { version: current.version, until: facts.now + facts.keepFormer };
  return { state: { version: champion, ...(facts.keepFormer > 0 && { former }) }, wait };
}

function reasonToWait({ champion, objection, ready }: EndpointFacts): EndpointWait | undefined {
  if (champion === undefined) return "no champion";
  return objection ?? (ready.has(champion) ? undefined : "champion is not Ready");
}

function withoutExpired({ version, former }: EndpointState, now: number): EndpointState {
  return former === undefined || former.until <= now ? { version } : { version, former };
}

/** For a person: half a sentence, after the name of the model. */
export function explainWait(wait: EndpointWait): string {
  switch (wait) {
    case "no champion":
      return "no version has the champion's alias: set it on one";
    case "champion vetoed":
      return "the version with the champion's alias is not to be served, as its own tag says, or does not exist: move the alias";
    case "champion is another":
      return "the service with the champion's name serves a version of another MLflow, or one that was deleted: look at the version's state";
    case "champion is not Ready":
      return "the version with the champion's alias is not Ready yet";
  }
}
