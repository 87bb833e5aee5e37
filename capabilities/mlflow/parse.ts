import type * as z from "zod";
import { MlflowError } from "./errors";
import type { MlflowCall } from "./transport";

/**
 * @throws MlflowError when the answer has not the form that it should have
 */
export function parse<T>(schema: z.ZodType<T>, answer: unknown, call: MlflowCall): T {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(issue => `${issue.path.join(".")}: ${issue.message}`).join("; ");
  throw new MlflowError("unexpected", `${call.path} was answered in an unknown form: ${problems}`);
}
