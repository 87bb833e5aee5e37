import assert from "node:assert/strict";
import fc from "fast-check";
import { readOpenApi } from "../../support/openapi";
import type { ReceivedAnswer } from "../../support/openapi";
import { SECRET } from "../endpoint";
import type { FuzzedEndpoint } from "../endpoint";
import { fuzzProperty } from "../fuzz-property";
import type { FuzzProperty } from "../fuzz-property";
import { encoded, eventText, jsonText } from "../hostile-json";
import { malformedRequest } from "../malformed-request";
import { plainRequest, signedDelivery } from "../plain-request";
import type { PlainRequest } from "../plain-request";
import { answersIn, exchange } from "../raw-client";

/** Requests sent at once; far below every limit of the endpoint, so that none of them is a reason for a 503. */
const BATCH = 24;

/** The only answer above 499 that bytes on one connection may get: more requests at once than it takes. */
const PIPELINED = "too many requests on one connection before their answers";

const openApi = readOpenApi();

/** What must hold for the endpoint, whatever is sent to it. */
export function endpointProperties(endpoint: FuzzedEndpoint): FuzzProperty[] {
  const batches = <T>(name: string, requests: fc.Arbitrary<T>, send: (request: T) => Promise<void>): FuzzProperty =>
    fuzzProperty(
      name,
      fc.array(requests, { minLength: 1, maxLength: BATCH, size: "max" }),
      async batch => {
        const results = await Promise.allSettled(batch.map(send));
        const failures = results.flatMap(result => (result.status === "rejected" ? [String(result.reason)] : []));
        if (failures.length > 0) throw new Error(failures.join("\n"));
        endpoint.checkUnharmed();
      },
      batch => batch.length,
    );
  const count = ({ status }: ReceivedAnswer): void => {
    endpoint.statuses.set(status, (endpoint.statuses.get(status) ?? 0) + 1);
  };
  const sendPlain = async (request: PlainRequest): Promise<void> => {
    const answer = await endpoint.send(request);
    count(answer);
    const { method, target } = request;
    const told = `${method} ${target}: ${answer.status} ${answer.text}`;
    assert.ok(answer.status < 500, told);
    if (method === "HEAD") return;
    const place = target.split("?", 1)[0] ?? "";
    const described = openApi.paths.includes(place) && answer.status !== 405;
    const problems = described ? openApi.problemsOf(place, method, answer) : openApi.problemsOfError(answer);
    assert.deepEqual(problems, [], told);
  };
  const content = fc.oneof({ weight: 1, arbitrary: eventText(endpoint.models) }, { weight: 2, arbitrary: jsonText() });

  return [
    batches(
      "malformed HTTP is answered in well-formed HTTP below 500, or not at all",
      malformedRequest(SECRET),
      async request => {
        const received = await exchange(endpoint.port, request.pieces);
        for (const answer of answersIn(received, request.bodiless)) {
          count(answer);
          if (answer.status === 503) assert.ok(answer.text.includes(PIPELINED), answer.text);
          else assert.ok(answer.status < 500, `${answer.status} ${answer.text}`);
          if (answer.status >= 400 && answer.text !== "") assert.deepEqual(openApi.problemsOfError(answer), []);
        }
      },
    ),
    batches("a hostile request in correct HTTP is answered as docs/openapi.yaml says", plainRequest(SECRET), sendPlain),
    batches(
      "a signed delivery of any content is answered below 500, and deploys nothing",
      signedDelivery(SECRET, encoded(content)),
      sendPlain,
    ),
  ];
}
