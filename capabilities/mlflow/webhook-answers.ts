import * as z from "zod";

const webhookSchema = z.object({
  webhook_id: z.string().min(1),
  name: z.string(),
  description: z.string().default(""),
  url: z.string(),
  status: z.string().default("ACTIVE"),
  creation_timestamp: z.coerce.number().default(0),
  last_updated_timestamp: z.coerce.number().default(0),
  events: z.array(z.object({ entity: z.string(), action: z.string() })).default([]),
});

/** MLflow's answers about webhooks. */
export const webhookListAnswer = z.object({
  webhooks: z.array(webhookSchema).default([]),
  next_page_token: z.string().optional(),
});
export const webhookAnswer = z.object({ webhook: webhookSchema });
export const deliveryTestAnswer = z.object({
  result: z.object({
    success: z.boolean().default(false),
    response_status: z.number().optional(),
    response_body: z.string().default(""),
    error_message: z.string().default(""),
  }),
});

/** A webhook as MLflow lists it; its secret is never shown. Timestamps are Unix milliseconds. */
export type RegisteredWebhook = z.output<typeof webhookSchema>;

/** What came of one test delivery that MLflow made: an answer, or why there was none. */
export type DeliveryTest = z.output<typeof deliveryTestAnswer>["result"];
