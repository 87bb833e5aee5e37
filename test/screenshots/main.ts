// `npm run screenshots`: the pictures of MLflow's page and of the status page that the documentation shows, of real systems.
import { mkdirSync } from "node:fs";
import path from "node:path";
import type { Browser } from "playwright-core";
import { messageOf } from "../../capabilities/observability/logging";
import type { VersionsAnswer } from "../../capabilities/server/page/wire";
import type { StateWord } from "../../capabilities/status/published";
import { setTheStage } from "../demo/stage";
import type { Closing, Stage } from "../demo/stage";
import { say } from "../support/command-output";
import { launchChromium } from "../support/launched-chromium";
import { openModelVersionPage } from "../support/mlflow-page";
import { waitFor } from "../support/waiting";
import { untilAskedToStop } from "../testbed/stopping";

const FOLDER = path.join("docs", "images");

/** Milliseconds for downloads and the starts of model servers. */
const LOAD_TIMEOUT = 300_000;

/** Pixels: as wide as a page of documentation shows it without making it smaller than can be read; what is higher is all shown. */
const VIEWPORT = { width: 1200, height: 420 };

/** A model whose files are gone, and one in a place that no model server can read from. */
const [WITHOUT_FILES, ELSEWHERE] = ["churn", "fraud"];

async function main(): Promise<void> {
  const asked = untilAskedToStop();
  const closing: Closing = [];
  try {
    const interrupted = await Promise.race([takePictures(closing), asked]);
    if (typeof interrupted === "string") say(interrupted);
  } finally {
    for (const end of closing.reverse()) await end();
  }
}

async function takePictures(closing: Closing): Promise<void> {
  const stage = await setTheStage([], closing);
  const { names, versions, scientist, testbed } = stage;
  const lost = await scientist.train(WITHOUT_FILES);
  await scientist.deleteArtifacts(WITHOUT_FILES, lost.version);
  await scientist.setTag(WITHOUT_FILES, lost.version, names.tag, "true");
  for (const version of versions) await scientist.setTag(names.model, version, names.tag, "true");
  await scientist.register(ELSEWHERE, "dbfs:/models/fraud", { [names.tag]: "true" });
  say("Waiting for the models to be loaded");
  await untilShown(stage, { [names.model]: "Ready", [WITHOUT_FILES]: "Failed", [ELSEWHERE]: "Refused" });

  mkdirSync(FOLDER, { recursive: true });
  const [first] = versions;
  await pictureOfMlflow(testbed.mlflowTrackingUri, names.model, first, "mlflow-ready.png");
  await pictureOfMlflow(testbed.mlflowTrackingUri, WITHOUT_FILES, lost.version, "mlflow-failed.png");
  const browser = await launchChromium();
  closing.push(() => browser.close());
  const { watcherUrl } = stage.module;
  const version = `#/version?${new URLSearchParams({ model: names.model, version: first }).toString()}`;
  for (const scheme of ["light", "dark"] as const) {
    await pictureOfPage(browser, `${watcherUrl}/`, scheme, `page-${scheme}.png`);
    await pictureOfPage(browser, `${watcherUrl}/${version}`, scheme, `page-version-${scheme}.png`);
    await pictureOfPage(browser, `${watcherUrl}/#/module`, scheme, `page-module-${scheme}.png`);
  }
}

/** Waits until all versions of these models are in these states on the page, and in MLflow. */
async function untilShown({ module }: Stage, states: Readonly<Record<string, StateWord>>): Promise<void> {
  await waitFor(
    `the states ${JSON.stringify(states)}`,
    async () => {
      const answer = (await (await fetch(`${module.watcherUrl}/page/versions`)).json()) as VersionsAnswer;
      const words = Object.entries(states).map(([model, word]) => {
        const ofModel = answer.versions.filter(version => version.model === model);
        return ofModel.length > 0 && ofModel.every(({ state }) => state.word === word);
      });
      return words.every(Boolean) || undefined;
    },
    LOAD_TIMEOUT,
  );
}

/** MLflow's page of a version, when the module has written its tags. */
async function pictureOfMlflow(trackingUri: string, model: string, version: string, file: string): Promise<void> {
  const page = await openModelVersionPage(trackingUri, model, version);
  try {
    await waitFor("the tags in MLflow", async () => (await page.tags()).has("serving") || undefined);
    await page.picture(path.join(FOLDER, file));
    say(`  ${path.join(FOLDER, file)}`);
  } finally {
    await page.close();
  }
}

async function pictureOfPage(
  browser: Browser,
  url: string,
  colorScheme: "light" | "dark",
  file: string,
): Promise<void> {
  const context = await browser.newContext({ colorScheme, viewport: VIEWPORT, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(url);
  await page.locator("[data-state], .verdict, .items").first().waitFor();
  await page.screenshot({ path: path.join(FOLDER, file), fullPage: true });
  await context.close();
  say(`  ${path.join(FOLDER, file)}`);
}

main()
  .catch((error: unknown) => {
    console.error(`The pictures could not be made: ${messageOf(error)}`);
    process.exitCode = 1;
  })
  .finally(() => process.exit());
