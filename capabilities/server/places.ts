/** What of a connection decides whether it is missed. */
export interface Occupant {
  /** By `performance.now()`. */
  readonly openedAt: number;
  /** Requests that came on it and are not answered yet. */
  readonly underWay: ReadonlyMap<{ readonly complete: boolean }, unknown>;
}

export interface PlaceLimits {
  /**
   * Connections with a request that are served. One more closes the one that is missed least: the oldest between two
   * requests, else the oldest whose request is still on its way. If all of them are being worked for, the newcomer's requests
   * are answered 503.
   *
   * Connections that never said anything may be as many again. When more are open in all than are served, the oldest that
   * has been silent for longer than `newcomerGrace` is closed; when twice as many are, the oldest silent one at once. If there
   * is none, the newcomer is closed unanswered.
   */
  readonly maximumConnections: number;
  /** Milliseconds that a new connection has for its first request before it is one of the silent ones. */
  readonly newcomerGrace: number;
}

/** Where a newcomer belongs, and who makes room for it; `refused` when nobody can. */
export interface Admission<C> {
  readonly closes: C | undefined;
  readonly refused: boolean;
}

/** The open connections of a server, and which of them goes when there are too many. */
export interface Places<C extends Occupant> {
  readonly size: number;
  /** All of them. */
  readonly all: () => Iterable<C>;
  /** A connection was opened; it is silent until it has spoken. Who is closed is forgotten. */
  readonly opened: (newcomer: C) => Admission<C>;
  /** The first request of a connection came. Who is closed is forgotten; the refused one is not. */
  readonly spoke: (connection: C) => Admission<C>;
  /** Whether all places of those that are served are taken, and more. */
  readonly areTooMany: () => boolean;
  readonly forget: (connection: C) => void;
}

/**
 * Silent connections are kept apart from the others: however many somebody opens, they take the places of each other. So a
 * probe, which sends its request with its connection, is closed only if as many again come before it is read.
 */
export function createPlaces<C extends Occupant>({ maximumConnections, newcomerGrace }: PlaceLimits): Places<C> {
  // The oldest come first.
  const silent = new Set<C>();
  const speaking = new Set<C>();

  const forget = (connection: C): void => {
    silent.delete(connection);
    speaking.delete(connection);
  };
  const closing = (connection: C | undefined): Admission<C> => {
    // At once: the event of its end comes later, and until then the next newcomer would close another one.
    if (connection !== undefined) forget(connection);
    return { closes: connection, refused: connection === undefined };
  };

  return {
    get size() {
      return silent.size + speaking.size;
    },

    *all() {
      yield* silent;
      yield* speaking;
    },

    opened(newcomer) {
      const [oldest] = silent;
      silent.add(newcomer);
      const open = silent.size + speaking.size;
      if (open > 2 * maximumConnections) return closing(oldest ?? missedLeast(speaking, newcomer));
      const isOver = oldest !== undefined && newcomer.openedAt - oldest.openedAt >= newcomerGrace;
      return open > maximumConnections && isOver ? closing(oldest) : { closes: undefined, refused: false };
    },

    spoke(connection) {
      silent.delete(connection);
      speaking.add(connection);
      return speaking.size > maximumConnections
        ? closing(missedLeast(speaking, connection))
        : { closes: undefined, refused: false };
    },

    areTooMany: () => speaking.size > maximumConnections,

    forget,
  };
}

/** The connection whose end harms least; undefined when something is being done for each. */
function missedLeast<C extends Occupant>(speaking: ReadonlySet<C>, newcomer: C): C | undefined {
  let receiving: C | undefined;
  for (const connection of speaking) {
    if (connection === newcomer) continue;
    if (connection.underWay.size === 0) return connection;
    if (receiving === undefined && ![...connection.underWay.keys()].some(({ complete }) => complete))
      receiving = connection;
  }
  return receiving;
}
