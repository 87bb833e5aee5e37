import type { Server } from "node:http";
import type { Socket } from "node:net";

/** Newcomers that are read from in one turn of the event loop. */
const PER_TURN = 4;

/** Turns in which connections are only accepted, at the most; Node.js accepts one in each. */
const ACCEPTING_TURNS = 32;

/** Milliseconds between two newcomers from an address that misbehaved: what one costs is a tenth of that. */
const SLOW_INTERVAL = 2;

/** Milliseconds that an address is kept to that. */
const SLOW_FOR = 1_000;

/** The newcomers from one address. */
interface Line {
  readonly sockets: Set<Socket>;
  /** By `performance.now()`, as `nextAt`. */
  slowUntil: number;
  nextAt: number;
}

export interface Newcomers {
  /** A connection from this address was cut for what it sent: the next ones are let in slowly for a while. */
  readonly misbehaved: (address: string | undefined) => void;
}

/**
 * Lets new connections have their turns. Of many that come at once all are accepted first, since the kernel has them in one
 * line; then a few are read from in each turn of the event loop, and each address that they come from is asked in rotation.
 * So a flood neither keeps requests on other connections waiting, nor newcomers from other addresses; and since who floods
 * waits for it to be read, it comes no faster than that. One that comes alone does not wait.
 */
export function letNewcomersTakeTurns(server: Server, secure: boolean): Newcomers {
  /** By address; the first is the next. */
  const lines = new Map<string, Line>();
  let isTurnComing = false;
  let accepted = 0;
  let acceptingTurns = 0;

  const lineOf = (address = ""): Line => {
    const line = lines.get(address) ?? { sockets: new Set(), slowUntil: 0, nextAt: 0 };
    lines.set(address, line);
    return line;
  };

  /** Reads from the first newcomers; tells whether others wait that may be read from at once, or later, or none. */
  const takeSome = (): "more" | "later" | "none" => {
    const now = performance.now();
    let [left, others]: [number, "later" | "none"] = [PER_TURN, "none"];
    // Those that go behind the others come again, if there is time for them.
    for (const [address, line] of lines) {
      const [socket] = line.sockets;
      if (socket === undefined) {
        if (line.slowUntil <= now) lines.delete(address);
        continue;
      }
      if (line.nextAt > now) {
        others = "later";
        continue;
      }
      if (left-- === 0) return "more";
      socket.resume();
      line.sockets.delete(socket);
      if (line.slowUntil > now) line.nextAt = now + SLOW_INTERVAL;
      lines.delete(address);
      lines.set(address, line);
    }
    return others;
  };

  const comeAgain = (): void => {
    isTurnComing = true;
    setImmediate(takeTurn);
  };
  const takeTurn = (): void => {
    const isAccepting = accepted > 0;
    accepted = 0;
    isTurnComing = false;
    if (isAccepting && ++acceptingTurns < ACCEPTING_TURNS) {
      comeAgain();
      return;
    }
    acceptingTurns = 0;
    const others = takeSome();
    if (isAccepting || others === "more") comeAgain();
    else if (others === "later") {
      isTurnComing = true;
      setTimeout(takeTurn, SLOW_INTERVAL).unref();
    }
  };

  server.on(secure ? "secureConnection" : "connection", (socket: Socket) => {
    accepted++;
    const line = lines.get(socket.remoteAddress ?? "");
    if (!isTurnComing) {
      comeAgain();
      if (line === undefined) return;
    }
    // Node.js has just asked for it to be resumed in the next tick.
    process.nextTick(() => socket.pause());
    const { sockets } = lineOf(socket.remoteAddress);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });

  return {
    misbehaved(address) {
      lineOf(address).slowUntil = performance.now() + SLOW_FOR;
    },
  };
}
