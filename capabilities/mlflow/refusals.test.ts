import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { startFaultServer } from "../../test/support/unit/fault-server";
import { rejectionOf } from "../../test/support/unit/outcomes";
import { fixedAccess } from "./access";
import { RECORDED_ANSWERS } from "../../test/support/unit/recorded-answers";
import type { RecordedAnswer } from "../../test/support/unit/recorded-answers";
import { MlflowError } from "./errors";
import { refusesHost } from "./refusals";
import { createMlflowTransport } from "./transport";

const HOST = "mlflow.mlflow.svc:5000";

/** The error that the answer becomes on its way through the real client, as if MLflow had been called by the name HOST. */
async function errorOf({ status, headers, body }: Pick<RecordedAnswer, "status" | "headers" | "body">): Promise<{
  error: MlflowError;
  message: string;
}> {
  const server = await startFaultServer((_, response) => response.writeHead(status, headers).end(body));
  const options = {
    trackingUri: server.url,
    access: fixedAccess({ authorization: "Bearer geheim", tls: {} }),
    deadline: 10_000,
  };
  const error = await rejectionOf(createMlflowTransport(options)({ method: "GET", path: "webhooks" }));
  if (!(error instanceof MlflowError)) throw error;
  return { error, message: error.message.replaceAll(new URL(server.url).host, HOST) };
}

describe("an answer that is no success", () => {
  it.each(RECORDED_ANSWERS)("of $who ($status) is named with its cure", async answer => {
    const { error, message } = await errorOf(answer);
    expect(error.kind).toBe(answer.kind);
    expect(error.facts.status).toBe(answer.status);
    const what = message.replace(/^GET \/api\/2\.0\/mlflow\/webhooks was (answered )?/, "").replaceAll(HOST, "HOST");
    expect(what).toMatch(answer.sentence);
    expect(message).not.toMatch(/geheim|[\n<>]/);
  });

  it("is about credentials only when it looks like it", async () => {
    for (const answer of RECORDED_ANSWERS) {
      const { error, message } = await errorOf(answer);
      if (error.kind !== "unauthorized") expect(message).not.toMatch(/MLFLOW_TRACKING_(USERNAME|PASSWORD)/);
    }
  });

  it("has each sentence in docs/refusals.md", async () => {
    const documented = readFileSync("docs/refusals.md", "utf8").replace(/\s+/g, " ");
    for (const answer of RECORDED_ANSWERS) {
      const { message } = await errorOf(answer);
      expect(documented).toContain(`| ${answer.who} | ${answer.status} | ${message.replace(/^GET \S+ was /, "")} |`);
    }
  });

  it("tells a refused host name from every other refusal", async () => {
    for (const answer of RECORDED_ANSWERS) {
      const { error } = await errorOf(answer);
      expect(refusesHost(error.facts)).toBe(answer.who.startsWith("MLflow: called by a name"));
    }
  });

  it("keeps facts, of the body only how it begins, and nothing of what we sent", async () => {
    const body = `<html><style>p { color: red }</style><p>Authorization: Bearer geheim</p>${"x".repeat(1_000_000)}`;
    const { error } = await errorOf({
      status: 500,
      headers: { "content-type": "Text/HTML; charset=x", server: "s" },
      body,
    });
    expect(error.facts).toMatchObject({ status: 500, contentType: "text/html", server: "s", challenged: false });
    expect(error.facts.size).toBe(body.length);
    expect(error.facts.excerpt).toMatch(/^Authorization: Bearer \*\*\* x+$/);
    expect(error.facts.excerpt?.length).toBe(300);
    expect(error.message.length).toBeLessThan(300);
  });
});
