import { createRoutes } from "../../capabilities/server/routes";
import { startHttpServer } from "../../capabilities/server/http-server";
import type { HttpServer } from "../../capabilities/server/http-server";
import type { PageSource } from "../../capabilities/status/published";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { fakeCluster } from "../support/unit/fake-cluster";
import { stateOfService } from "../support/unit/objects";
import { recordingLog } from "../support/unit/recording-log";

/** Milliseconds for something to appear, on a machine that is busy with other tests. */
const TIMEOUT = 20_000;

/** The module's server with the status page. @param port 0: any */
export async function servePage(page: PageSource, port = 0): Promise<HttpServer> {
  const { operations } = createRoutes({
    deliveries: undefined,
    health: () => Promise.resolve({ mlflowConnected: true, kubernetesConnected: true }),
    services: fakeCluster(),
    stateOf: stateOfService,
    page,
  });
  const { log } = recordingLog();
  return await startHttpServer({ host: "127.0.0.1", port, routes: operations, log });
}

/** How the page is looked at. */
export interface Look {
  readonly scheme: "dark" | "light";
  readonly width: number;
}

/** The status page in a browser, and what it did that it must not do. */
export interface OpenedPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Requests to other servers, breaches of the Content-Security-Policy, dialogs, errors of scripts and in the console. */
  readonly misdeeds: readonly string[];
}

/** Opens a view of the page. @param hash like "#/module" */
export async function openPage(
  browser: Browser,
  url: string,
  hash = "",
  look: Look = { scheme: "light", width: 1440 },
): Promise<OpenedPage> {
  const context = await browser.newContext({
    colorScheme: look.scheme,
    viewport: { width: look.width, height: look.width < 600 ? 780 : 900 },
    reducedMotion: "reduce",
  });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT);
  const misdeeds: string[] = [];
  const origin = new URL(url).origin;
  page.on("request", request => {
    if (new URL(request.url()).origin !== origin) misdeeds.push(`request to ${request.url()}`);
  });
  page.on("dialog", dialog => {
    misdeeds.push(`dialog ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("pageerror", error => misdeeds.push(`error ${error.message}`));
  page.on("console", message => {
    // What cannot be reached is told by the browser as an error, also where the page expects it.
    const isLost = message.text().includes("net::ERR_") || message.text().includes("the server responded with");
    if (message.type() === "error" && !isLost) misdeeds.push(`console ${message.text()}`);
  });
  await page.goto(`${url}/${hash}`);
  return { page, context, misdeeds };
}
