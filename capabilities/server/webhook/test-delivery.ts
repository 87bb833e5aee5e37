/**
 * Whether an event is one that MLflow makes up for a test delivery (`webhooks/{id}/test`, and the button of its UI), by
 * the example data in mlflow/webhooks/types.py. The module has them made each minute to prove its webhook.
 */
export function isTestDelivery(data: Readonly<Record<string, unknown>>): boolean {
  if (data.name !== "example_model") return false;
  const { tags } = data;
  const hasExampleTag = typeof tags === "object" && tags !== null && Object.hasOwn(tags, "example_key");
  return data.key === "example_key" || data.alias === "example_alias" || hasExampleTag;
}
