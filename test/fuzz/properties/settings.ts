import assert from "node:assert/strict";
import fc from "fast-check";
import { settingsSchema } from "../../../capabilities/configuration/setting-fields";
import { parseSettings, SETTINGS_PREFIX, SettingsError } from "../../../capabilities/configuration/settings";
import { hostileText } from "../../arbitraries";
import { fuzzProperty } from "../fuzz-property";

const REQUIRED = { MLFLOW_TRACKING_URI: "http://mlflow:5000", MLFLOW_WEBHOOK_SECRET: "geheim, und lang genug" };

/** The problems that the settings have, one line each, without the heading. */
function problemsOf(settings: Readonly<Record<string, string>>): string[] {
  const named = Object.entries({ ...REQUIRED, ...settings }).map(([name, value]) => [SETTINGS_PREFIX + name, value]);
  try {
    parseSettings(Object.fromEntries(named) as Record<string, string>);
    return [];
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    const [, ...lines] = error.message.split("\n");
    assert.equal(lines.length, error.problems.length);
    return lines;
  }
}

export const settingsAreTakenOrRefused = fuzzProperty(
  "settings are taken, or refused with one line a problem, whatever the variables hold",
  fc.dictionary(fc.constantFrom(...Object.keys(settingsSchema.shape), "__proto__", "constructor"), hostileText()),
  settings => {
    problemsOf(settings);
  },
);

export const passwordIsNotShown = fuzzProperty(
  "no password of a URL is shown that makes it invalid",
  fc.tuple(fc.constantFrom("http://", "https://", "ftp://", ""), hostileText()),
  ([scheme, text]) => {
    const uri = `${scheme}user:geheim${text}geheim@mlflow:not-a-port`;
    assert.ok(!problemsOf({ MLFLOW_TRACKING_URI: uri }).join().includes("geheim"));
  },
);
