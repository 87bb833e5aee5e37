import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import type { Tampering, TamperingProxy } from "../support/tampering-proxy";
import { rideOut, startWorld } from "./world";

// Nearly all of their time is waiting for a deadline or a poll.
vi.setConfig({ maxConcurrency: 16, testTimeout: 240_000 });

// The faults of this file are answers that the real server cannot be made to give; all else is the real one's.
const WRONG_ANSWERS: readonly [fault: string, status: number, cause: RegExp, tampering: Tampering][] = [
  ["answers after 30 s", 502, /no complete answer within 10000 ms/, () => sleep(30_000, undefined, { ref: false })],
  [
    "answers 500",
    502,
    /answered 500 INTERNAL_ERROR/,
    (_path, answer) => {
      Object.assign(answer, { status: 500, body: '{"error_code":"INTERNAL_ERROR","message":"database is locked"}' });
    },
  ],
  [
    "answers 429 with Retry-After",
    502,
    /answered 429/,
    (_path, answer) => {
      const headers = { "retry-after": "1" };
      Object.assign(answer, { status: 429, contentType: "text/plain", body: "Too Many Requests", headers });
    },
  ],
  [
    "answers with JSON that ends in the middle",
    502,
    /not JSON/,
    (_path, answer) => {
      answer.body = answer.body.slice(0, answer.body.length / 2);
    },
  ],
  [
    "answers with half a body, then cuts the connection",
    502,
    /cannot be reached/,
    (_path, answer) => {
      answer.cut = true;
    },
  ],
  [
    "is replaced by a sign-in page with 200",
    502,
    /answered 200 by a sign-in page of what stands before MLflow/,
    (_path, answer) => {
      Object.assign(answer, { contentType: "text/html", body: "<html>Please log in</html>" });
    },
  ],
  [
    "is replaced by a proxy's error page with 502",
    502,
    /answered 502 without MLflow's error format/,
    (_path, answer) => {
      Object.assign(answer, { status: 502, contentType: "text/html", body: "<html>Bad Gateway</html>" });
    },
  ],
  [
    "is replaced by a proxy's page with 404",
    502,
    /answered 404 without MLflow's error format/,
    (_path, answer) => {
      Object.assign(answer, { status: 404, contentType: "text/html", body: "<html>no such path</html>" });
    },
  ],
  [
    "redirects",
    502,
    /redirected to https:\/\/login\.example\.com\/start;/,
    (_path, answer) => {
      const headers = { location: "https://login.example.com/start?state=secret" };
      Object.assign(answer, { status: 302, body: "", headers });
    },
  ],
];

describe.concurrent("MLflow", () => {
  test.for(WRONG_ANSWERS)("%s", async ([fault, status, cause, tampering], context) => {
    const world = await startWorld(context);

    const { answers, polled, complaints } = await rideOut(world, {
      group: "MLflow",
      fault,
      begin: () => {
        world.mlflow.tamper = tampering;
      },
      end: () => {
        world.mlflow.tamper = () => undefined;
      },
    });

    expect(answers.map(answer => answer.status)).toEqual([status, status]);
    for (const { body } of answers) expect(body.message).toMatch(cause);
    expect(polled).toBeUndefined();
    expect(complaints.join()).not.toContain("state=secret");
  });

  /** The poll's search, and none of those for single models or for tags that were left behind. */
  const isPollSearch = (path: string): boolean => /model-versions\/search\?filter=tag\..*ILIKE/.test(path);
  const isFurtherPage = (path: string): boolean => path.includes("page_token=");
  const PARTS: readonly [fault: string, fails: boolean, produce: (proxy: TamperingProxy) => void][] = [
    [
      "gives the first page of a search and 500 for the second",
      true,
      proxy => {
        proxy.tamper = (path, answer) => {
          if (isFurtherPage(path)) Object.assign(answer, { status: 500, body: "{}" });
        };
      },
    ],
    [
      "gives an empty second page",
      false,
      proxy => {
        proxy.tamper = (path, answer) => {
          if (isFurtherPage(path)) answer.body = "{}";
        };
      },
    ],
    [
      "gives the same page again and again",
      true,
      proxy => {
        let first = "";
        proxy.tamper = (path, answer) => {
          if (isPollSearch(path)) first ||= answer.body;
          if (isFurtherPage(path)) answer.body = first;
        };
      },
    ],
    [
      "leaves a version out of each page",
      false,
      proxy => {
        proxy.tamper = (path, answer) => {
          if (!path.includes("model-versions/search")) return;
          const page = JSON.parse(answer.body) as { model_versions?: unknown[]; next_page_token?: string };
          answer.body = JSON.stringify({ ...page, model_versions: page.model_versions?.slice(1) });
        };
      },
    ],
    [
      "gives no page at all, and no error",
      false,
      proxy => {
        proxy.tamper = (path, answer) => {
          if (path.includes("model-versions/search")) answer.body = "{}";
        };
      },
    ],
  ];

  test.for(PARTS)("%s", async ([fault, fails, produce], context) => {
    const world = await startWorld(context);
    // The real server's own pages, of two versions each: the four tagged ones make two.
    world.mlflow.rewrite = path => path.replace("max_results=1000", "max_results=2");
    const pages = world.mlflow.requests("page_token=");

    const { polled } = await rideOut(world, {
      group: "MLflow",
      fault,
      delivered: false,
      begin: () => {
        produce(world.mlflow);
      },
      end: () => {
        world.mlflow.tamper = () => undefined;
      },
    });

    expect(polled === undefined).toBe(fails);
    expect(world.mlflow.requests("page_token=")).toBeGreaterThan(pages);
  });
});
