import { launchChromium } from "../../support/launched-chromium";
import { paintedAfterAnswer } from "../../support/status-page-times";
import { summarize } from "../load";
import type { PageResults } from "../results";

/** Milliseconds for something to appear on the page, after which it counts as never. */
const PATIENCE = 60_000;

/** A model version that is about to be made. */
export interface Coming {
  readonly model: string;
  /** Has it deployed; resolves when the API server has told of its InferenceService. */
  readonly deploy: () => Promise<void>;
}

/**
 * The status page of a watcher in a real Chromium: how long after the answer its versions are painted, and how long after the
 * cluster's change one more is shown.
 */
export async function measurePage(url: string, coming: readonly Coming[]): Promise<PageResults> {
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE);
    await page.goto(`${url}/`);
    const count = await page.getByText(/^[\d,]+ versions$/).innerText();
    const painted = await paintedAfterAnswer(page);
    await page.getByRole("status").getByText("Live", { exact: true }).waitFor();
    const latencies: number[] = [];
    for (const { model, deploy } of coming) {
      await page.getByRole("searchbox").fill(model);
      await deploy();
      const start = performance.now();
      await page.getByRole("link", { name: `${model} v1`, exact: true }).waitFor();
      latencies.push(performance.now() - start);
    }
    const seconds = latencies.reduce((sum, one) => sum + one, 0) / 1000;
    return { versions: Number(count.replaceAll(/\D/g, "")), painted, changes: summarize({ latencies, seconds }) };
  } finally {
    await browser.close();
  }
}
