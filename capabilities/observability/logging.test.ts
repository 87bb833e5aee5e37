import { PassThrough } from "node:stream";
import pino from "pino";
import { expect, it } from "vitest";
import { cleanFields } from "./logging";

it("keeps secrets of others out of a line's fields, and names as they are", () => {
  const stream = new PassThrough();
  // As the module makes its log from Pepr's.
  const log = pino({}, stream).child({}, { formatters: { log: cleanFields } });
  log.warn(
    { model: "token=iris", cause: "GET https://host/a?sig=geheim", changes: ["password=geheim"], duration_ms: 2.5 },
    "The artifacts cannot be read",
  );
  expect(JSON.parse(String(stream.read()))).toMatchObject({
    model: "token=iris",
    cause: "GET https://host/a?***",
    changes: ["password=***"],
    duration_ms: 2.5,
    msg: "The artifacts cannot be read",
  });
});
