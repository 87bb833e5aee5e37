import { createMlflowTransport } from "../../capabilities/mlflow/transport";
import { listWebhooks, removeWebhook } from "../../capabilities/mlflow/webhook-registration";
import type { Names } from "./names";

/** Removes from an MLflow of somebody's what the demonstration registered: webhook and model. The experiment's runs stay. */
export async function giveBackMlflow(trackingUri: string, { module, model }: Names): Promise<void> {
  const transport = createMlflowTransport({ trackingUri, deadline: 15_000 });
  for (const { webhook_id: id, name } of await listWebhooks(transport)) {
    if (name === module) await removeWebhook(transport, id);
  }
  await transport({ method: "DELETE", path: "registered-models/delete", body: { name: model } });
}
