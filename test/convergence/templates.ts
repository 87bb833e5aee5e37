import { readFileSync } from "node:fs";

/** The template that the module has built in. */
export const BUILT_IN_TEMPLATE = "templates/inference-service.yaml.txt";

/** What a template of people's own differs in from the built-in one: each is text that another text there becomes. */
const CHANGES = {
  "more metadata": [
    "  namespace: {{namespace}}\n",
    "  namespace: {{namespace}}\n  labels:\n    stage: production\n  annotations:\n    example.com/contact: {{model_name}}\n",
  ],
  // Meets what people add by hand.
  replicas: ["  predictor:\n", "  predictor:\n    minReplicas: 1\n    maxReplicas: 3\n"],
  "fewer fields": ["      terminationMessagePolicy: FallbackToLogsOnError\n", ""],
  environment: ["      env:\n", "      env:\n        - name: MODEL\n          value: {{model_name}}\n"],
} as const;

export type TemplateName = keyof typeof CHANGES;

/** Templates that a running module may be given. */
export const TEMPLATE_NAMES = Object.keys(CHANGES) as TemplateName[];

/** The YAML of a template. @throws Error when the built-in one has not the text that is changed */
export function templateText(name: TemplateName): string {
  const builtIn = readFileSync(BUILT_IN_TEMPLATE, "utf8");
  const [before, after] = CHANGES[name];
  const changed = builtIn.replace(before, () => after);
  if (changed === builtIn) throw new Error(`${BUILT_IN_TEMPLATE} has nothing for ${JSON.stringify(name)} to change`);
  return changed;
}
