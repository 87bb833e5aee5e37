import { readFileSync } from "node:fs";
import defaultTemplate from "../../templates/inference-service.yaml.txt";
import { namespaceProblem } from "../kserve/names";
import { compileTemplate, TemplateError } from "../template/rendering";
import type { CompiledTemplate } from "../template/rendering";
import type { MlflowAccess } from "../mlflow/access";
import { allowedStorageUriProblem, storageUriBaseProblem } from "../mlflow/storage-uri";
import { messageOf } from "../observability/logging";
import { readMlflowAccess } from "./mlflow-access";
import { collect, parseSettings, SETTINGS_PREFIX, SettingsError } from "./settings";
import type { Settings, SettingsProblem, Variables } from "./settings";

const TEMPLATE_SETTING = `${SETTINGS_PREFIX}INFERENCE_SERVICE_TEMPLATE`;

/** Everything that the module is told before it starts. */
export interface Configuration {
  readonly settings: Settings;
  readonly template: CompiledTemplate;
  /** How MLflow is called, as its files and variables are now. */
  readonly mlflowAccess: MlflowAccess;
}

/**
 * Reads settings and template from the environment.
 *
 * @param found what is already known to be wrong with it
 * @throws SettingsError with the problems of all of them at once
 */
export function readConfiguration(environment: Variables, found: readonly SettingsProblem[] = []): Configuration {
  const problems: SettingsProblem[] = [...found];
  const settings = collect(problems, () => parseSettings(environment));
  const template = found.some(({ name }) => name === TEMPLATE_SETTING)
    ? undefined
    : collect(problems, () => readTemplate(environment[TEMPLATE_SETTING]));
  const mlflowAccess = collect(problems, () => readMlflowAccess(environment));
  const check = (setting: string, problemOf: (value: string) => string | undefined): void => {
    const value = environment[SETTINGS_PREFIX + setting];
    const message = value ? problemOf(value) : undefined;
    // These say what the value is themselves, where it may be shown.
    if (message !== undefined)
      problems.push({ name: SETTINGS_PREFIX + setting, value: undefined, message: `is not usable: ${message}` });
  };
  check("KUBE_NAMESPACE", namespaceProblem);
  check("STORAGE_URI_BASE", storageUriBaseProblem);
  for (const allowed of settings?.ALLOWED_STORAGE_URIS ?? [])
    check("ALLOWED_STORAGE_URIS", () => allowedStorageUriProblem(allowed));
  if (settings === undefined || template === undefined || mlflowAccess === undefined || problems.length > 0) {
    throw new SettingsError(problems);
  }
  return { settings, template, mlflowAccess };
}

/** The template that the setting names: the YAML itself (it has more than one line), a file, or the built-in one. */
function readTemplate(setting: string | undefined): CompiledTemplate {
  try {
    if (setting === undefined || setting === "") return compileTemplate(defaultTemplate, "built-in template");
    if (setting.includes("\n")) return compileTemplate(setting, TEMPLATE_SETTING);
    return compileTemplate(readFileSync(setting, "utf8"), setting);
  } catch (error) {
    const cure = error instanceof TemplateError ? "" : "; give the path of a readable file, or YAML of several lines";
    const message = `cannot be used: ${messageOf(error)}${cure}`;
    throw new SettingsError([{ name: TEMPLATE_SETTING, value: undefined, message }]);
  }
}
