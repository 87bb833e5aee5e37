import type { Page } from "playwright-core";
import { launchChromium } from "./launched-chromium";

/** MLflow's own web page of one model version, in a real browser. */
export interface ModelVersionPage {
  /** Sets a tag by the form of the page. */
  setTag: (key: string, value: string) => Promise<void>;
  /** The values that the page shows of tags, by key, when it is loaded anew. */
  tags: () => Promise<ReadonlyMap<string, string>>;
  /** Deletes a tag by its button, and says yes when the page asks. */
  deleteTag: (key: string) => Promise<void>;
  /** Writes what it shows, loaded anew, as a PNG. */
  picture: (file: string) => Promise<void>;
  close: () => Promise<void>;
}

/** Milliseconds for the page to load, or to show what was done, on a machine that is busy with other tests. */
const TIMEOUT = 120_000;

/** @throws Error when there is no Chromium for this machine, or MLflow's page is not as it is known */
export async function openModelVersionPage(
  mlflowTrackingUri: string,
  model: string,
  version: string,
): Promise<ModelVersionPage> {
  const browser = await launchChromium();
  try {
    const view = await browser.newPage();
    view.setDefaultTimeout(TIMEOUT);
    await view.goto(`${mlflowTrackingUri}/#/models/${encodeURIComponent(model)}/versions/${version}`);
    await showTags(view);
    return {
      async setTag(key, value) {
        await view.getByPlaceholder("Name").fill(key);
        await view.getByPlaceholder("Value").fill(value);
        await view.getByTestId("add-tag-button").click();
        await view.getByRole("cell", { name: key, exact: true }).waitFor();
      },
      async tags() {
        await view.reload();
        await showTags(view);
        const rows = await view
          .getByRole("row")
          .filter({ has: view.getByTestId("editable-table-button-delete") })
          .all();
        const cells = await Promise.all(rows.map(row => row.getByRole("cell").allInnerTexts()));
        return new Map(cells.map(([key = "", value = ""]) => [key.trim(), value.trim()]));
      },
      async deleteTag(key) {
        await view
          .getByRole("row")
          .filter({ has: view.getByRole("cell", { name: key, exact: true }) })
          .getByTestId("editable-table-button-delete")
          .click();
        await view.getByRole("dialog").getByRole("button", { name: "Confirm" }).click();
        await view.getByRole("cell", { name: key, exact: true }).waitFor({ state: "detached" });
      },
      async picture(file) {
        await view.reload();
        await showTags(view);
        await view.screenshot({ path: file });
      },
      close: () => browser.close(),
    };
  } catch (error) {
    await browser.close();
    throw error;
  }
}

/** The section is closed for a version that has no tags yet. */
async function showTags(view: Page): Promise<void> {
  const header = view.getByRole("button", { name: "Tags", exact: true });
  if ((await header.getAttribute("aria-expanded")) !== "true") await header.click();
  await view.getByPlaceholder("Name").waitFor();
}
