import { MlflowError } from "./errors";
import type { RegistrationFailure } from "./registration-advice";
import type { MlflowTransport } from "./transport";
import type { DeliveryTest } from "./webhook-answers";
import { listWebhooks, testWebhook } from "./webhook-registration";

/** How many calls MLflow could answer, and for how many it could not decrypt a webhook's secret. */
export interface Tally {
  readable: number;
  unreadable: number;
}

/**
 * MLflow could not decrypt the secret of a webhook: cryptography's InvalidToken has an empty text, and that is all of
 * MLflow's answer. Every call that reads the webhook's row fails so: list, get, update, delete and test.
 */
export function isUnreadable(error: unknown): boolean {
  return error instanceof MlflowError && error.code === "INTERNAL_ERROR" && error.facts.reason?.trim() === "";
}

/**
 * Repeats a call that failed because its process of MLflow has not the key, up to `tries` times: every call over a new
 * connection may come to another process, and one of them wrote the secret. Creating reads no secret and is never
 * repeated.
 */
export function insisting(transport: MlflowTransport, tally: Tally, tries: number): MlflowTransport {
  return async call => {
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await transport(call);
        tally.readable++;
        return answer;
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        tally.unreadable++;
        if (call.method === "POST" || attempt >= tries) throw error;
      }
    }
  };
}

/**
 * Has MLflow make test deliveries, one after the other, until one does not arrive. Before each the list of webhooks is
 * read, as MLflow does for a real delivery and not for a test: a webhook that cannot be decrypted, ours or not, stops
 * the deliveries of all.
 *
 * @param tally counts the calls; some unreadable ones mean that nothing is proven, whatever is returned
 * @returns undefined when all test deliveries that MLflow could make arrived at an endpoint of ours
 * @throws MlflowError when a call failed for another reason than a secret that cannot be read
 */
export async function proveDeliveries(
  transport: MlflowTransport,
  id: string,
  calls: number,
  tally: Tally,
): Promise<RegistrationFailure | undefined> {
  for (let call = 0; call < calls; call++) {
    try {
      await listWebhooks(transport);
      const test = await testWebhook(transport, id);
      tally.readable++;
      if (!isOurSuccess(test)) return { kind: "delivery", test };
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      tally.unreadable++;
    }
  }
  return undefined;
}

/** Any server answers 200 to something; ours says in JSON that it took the delivery. */
export function isOurSuccess({ success, response_status: status, response_body: body }: DeliveryTest): boolean {
  if (!success || status !== 200) return false;
  try {
    const answer: unknown = JSON.parse(body);
    return typeof answer === "object" && answer !== null && "status" in answer && answer.status === "success";
  } catch {
    return false;
  }
}

/** Our endpoint refused the signature, as it does when MLflow has another secret than the module. */
export function isWrongSecret(failure: RegistrationFailure | undefined): boolean {
  return failure?.kind === "delivery" && failure.test.response_status === 401;
}
