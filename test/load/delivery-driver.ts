import http from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Sending, SendingKind } from "./delivery-mix";

/** What came back for one kind of sending. */
export interface KindReport {
  sent: number;
  /** Answers by status, "cut" and "silent" for what is not answered. */
  readonly answers: Record<string, number>;
}

/** What came of all that was sent. */
export interface DriverReport {
  readonly kinds: ReadonlyMap<SendingKind, KindReport>;
  /** Answers that the request should not have got, the first twenty of them. */
  readonly unexpected: string[];
}

/** Connections that say nothing are open beside the others; so many at a time at the most. */
const MAXIMUM_SILENT = 100;

/** Sends to one endpoint. */
export interface DeliveryDriver {
  readonly report: DriverReport;
  /** Sends so many, by some clients at a time; silent connections may still be open when it resolves. */
  readonly send: (count: number, clients: number) => Promise<void>;
  /** Closes all connections: the silent ones at once, or when the server has lost its patience with them. */
  readonly finish: (silent: "cut" | "wait") => Promise<void>;
}

/** @param next what to send next, of which kind */
export function createDriver(url: string, next: () => { kind: SendingKind; sending: Sending }): DeliveryDriver {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
  const kinds = new Map<SendingKind, KindReport>();
  const unexpected: string[] = [];
  const silent = new Set<Promise<void>>();
  const end = new AbortController();

  const count = (kind: SendingKind, answer: string): void => {
    const report = kinds.get(kind) ?? { sent: 0, answers: {} };
    kinds.set(kind, report);
    report.sent++;
    report.answers[answer] = (report.answers[answer] ?? 0) + 1;
  };

  const sendOne = async (): Promise<void> => {
    const { kind, sending } = next();
    if (sending.form === "request") {
      const answers = Array.from({ length: sending.copies }, () => post(url, sending, agent));
      for (const { status, text } of await Promise.all(answers)) {
        count(kind, String(status));
        if (!sending.statuses.includes(status) && unexpected.length < 20) unexpected.push(`${kind}: ${status} ${text}`);
      }
      return;
    }
    if (sending.form === "cut") {
      await begin(url, sending.beginning, "cut");
    } else {
      while (silent.size >= MAXIMUM_SILENT) await Promise.race(silent);
      const waiting = begin(url, sending.beginning, end.signal).finally(() => silent.delete(waiting));
      silent.add(waiting);
    }
    count(kind, sending.form);
  };

  return {
    report: { kinds, unexpected },
    async send(total, clients) {
      let left = total;
      const client = async (): Promise<void> => {
        while (left-- > 0) await sendOne();
      };
      await Promise.all(Array.from({ length: clients }, client));
    },
    async finish(how) {
      if (how === "cut") end.abort();
      await Promise.all(silent);
      agent.destroy();
    },
  };
}

interface Answered {
  readonly status: number;
  readonly text: string;
}

async function post(url: string, sending: Sending & { form: "request" }, agent: http.Agent): Promise<Answered> {
  for (;;) {
    const answer = await tryPost(url, sending, agent);
    if (answer !== "closed") return answer;
    // The server closed the kept connection at the very moment: as MLflow does, send again.
    await sleep(1);
  }
}

function tryPost(url: string, sending: Sending & { form: "request" }, agent: http.Agent): Promise<Answered | "closed"> {
  return new Promise((resolve, reject) => {
    const request = http.request(`${url}/webhook`, {
      method: "POST",
      agent,
      headers: { ...sending.headers, "content-length": sending.body.length },
    });
    let answered = false;
    request.on("error", (error: NodeJS.ErrnoException) => {
      if (answered) return;
      if (request.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE")) resolve("closed");
      else reject(error);
    });
    request.on("response", response => {
      answered = true;
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("close", () => {
        resolve({ status: response.statusCode ?? 0, text });
      });
    });
    request.end(sending.body);
  });
}

/**
 * Opens a connection, sends the beginning of a request, and cuts it, or waits until the server closes it or the signal
 * says that it is to be cut after all.
 */
function begin(url: string, beginning: string, end: "cut" | AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port) }, () => {
      socket.write(beginning, () => {
        if (end === "cut") socket.resetAndDestroy();
      });
    });
    const cut = (): void => {
      socket.destroy();
    };
    if (end !== "cut") end.addEventListener("abort", cut);
    // Reset by either side is what is meant to happen.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      if (end !== "cut") end.removeEventListener("abort", cut);
      resolve();
    });
    socket.resume();
  });
}
