import type { Page } from "playwright-core";

/** Milliseconds from the end of the answer with all versions to the first paint of them, by the browser's own clock. */
export async function paintedAfterAnswer(page: Page): Promise<number> {
  return await page.evaluate<number>(`(async () => {
    for (;;) {
      const [read] = performance.getEntriesByType("resource").filter(entry => entry.name.endsWith("/page/versions"));
      const [shown] = performance.getEntriesByName("versions shown");
      if (read !== undefined && shown !== undefined) return shown.startTime - read.responseEnd;
      await new Promise(resolve => requestAnimationFrame(resolve));
    }
  })()`);
}
