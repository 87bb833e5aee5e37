import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";
import { chromiumBrowser } from "../testbed/chromium";

/** Starts a real Chromium without a window. @throws Error when there is none for this machine */
export async function launchChromium(): Promise<Browser> {
  const { executablePath, environment } = await chromiumBrowser();
  // Chromium does not run as root in its sandbox; it only sees our own pages and MLflow's.
  return await chromium.launch({ executablePath, args: ["--no-sandbox"], env: { ...process.env, ...environment } });
}
