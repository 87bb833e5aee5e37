import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fakeCluster } from "../../test/support/unit/fake-cluster";
import { stateOfService } from "../../test/support/unit/objects";
import type { InferenceServicePage } from "../kserve/inference-services";
import type { Answer, RenderedAnswer } from "./answers";
import { createServicesHandler } from "./services-handler";

describe("createServicesHandler", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const setUp = (): {
    ask: (query?: string) => Promise<Answer>;
    asked: number[];
    answerAll: () => void;
  } => {
    const asked: number[] = [];
    const waiting: (() => void)[] = [];
    const listPage = async (limit: number): Promise<InferenceServicePage> => {
      asked.push(limit);
      await new Promise<void>(resolve => waiting.push(resolve));
      return { items: [], next: undefined };
    };
    const handler = createServicesHandler({ ...fakeCluster(), listPage }, stateOfService);
    return {
      ask: query => handler({ query: new URLSearchParams(query) } as never),
      asked,
      answerAll: () => {
        for (const answer of waiting.splice(0)) answer();
      },
    };
  };

  it("reads a page once for all who ask for it meanwhile, and gives all the same bytes", async () => {
    const { ask, asked, answerAll } = setUp();
    const together = Promise.all([ask(), ask(), ask("limit=100")]);
    await vi.advanceTimersByTimeAsync(50);
    answerAll();
    const answers = (await together) as RenderedAnswer[];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(answers.map(({ json }) => json)).size).toBe(1);
    expect(asked).toEqual([100]);
  });

  it("gives a page out again for ten times as long as it took, a second at the most", async () => {
    const { ask, asked, answerAll } = setUp();
    const readIn = async (milliseconds: number): Promise<void> => {
      const answer = ask();
      await vi.advanceTimersByTimeAsync(milliseconds);
      answerAll();
      await answer;
      await vi.advanceTimersByTimeAsync(0);
    };
    await readIn(50);
    await vi.advanceTimersByTimeAsync(499);
    await ask();
    expect(asked).toHaveLength(1);

    await vi.advanceTimersByTimeAsync(1);
    await readIn(5000);
    expect(asked).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(999);
    await ask();
    expect(asked).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    await readIn(1);
    expect(asked).toHaveLength(3);
  });

  it("keeps few pages", async () => {
    const { ask, asked, answerAll } = setUp();
    for (let limit = 1; limit <= 9; limit++) {
      const answer = ask(`limit=${limit}`);
      await vi.advanceTimersByTimeAsync(100);
      answerAll();
      await answer;
    }
    expect(asked).toHaveLength(9);
    await ask("limit=9");
    expect(asked).toHaveLength(9);
    void ask("limit=1");
    expect(asked).toHaveLength(10);
  });

  it("keeps no failure", async () => {
    let reads = 0;
    const handler = createServicesHandler(
      {
        listPage: () => {
          reads++;
          return Promise.reject(new Error("no answer"));
        },
      },
      stateOfService,
    );
    const ask = (): Promise<Answer> => handler({ query: new URLSearchParams() } as never);
    expect([(await ask()).status, (await ask()).status, reads]).toEqual([500, 500, 2]);
  });

  it("reads two different pages at once, and tells others to come again", async () => {
    const { ask, asked, answerAll } = setUp();
    const first = [ask("limit=1"), ask("limit=2")];
    const tooMany = await ask("limit=9");
    expect(tooMany).toEqual({
      status: 503,
      body: { status: "error", message: "2 pages are being read already; try again" },
      headers: { "retry-after": "1" },
    });
    expect(asked).toHaveLength(2);

    answerAll();
    await Promise.all(first);
    const again = ask("limit=9");
    answerAll();
    expect(await again).toMatchObject({ status: 200 });
  });
});
