import { describe, expect, it } from "vitest";
import { fakeCluster } from "../../test/support/unit/fake-cluster";
import type { InferenceServicePage } from "../kserve/inference-services";
import type { Answer } from "./answers";
import { createServicesHandler } from "./services-handler";

describe("createServicesHandler", () => {
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
    const handler = createServicesHandler({ ...fakeCluster(), listPage });
    return {
      ask: query => handler({ query: new URLSearchParams(query) } as never),
      asked,
      answerAll: () => {
        for (const answer of waiting.splice(0)) answer();
      },
    };
  };

  it("reads a page once for all who ask for it meanwhile, and anew after that", async () => {
    const { ask, asked, answerAll } = setUp();
    const together = Promise.all([ask(), ask(), ask("limit=100")]);
    answerAll();
    expect((await together).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(asked).toEqual([100]);

    const later = ask();
    answerAll();
    await later;
    expect(asked).toEqual([100, 100]);
  });

  it("reads eight different pages at once, and tells others to come again", async () => {
    const { ask, asked, answerAll } = setUp();
    const first = Array.from({ length: 8 }, (_, at) => ask(`limit=${at + 1}`));
    const tooMany = await ask("limit=9");
    expect(tooMany).toEqual({
      status: 503,
      body: { status: "error", message: "8 pages are being read already; try again" },
      headers: { "retry-after": "1" },
    });
    expect(asked).toHaveLength(8);

    answerAll();
    await Promise.all(first);
    const again = ask("limit=9");
    answerAll();
    expect(await again).toMatchObject({ status: 200 });
  });
});
