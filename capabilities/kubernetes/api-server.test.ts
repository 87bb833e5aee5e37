import type { RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { afterEach, describe, expect, it, vi } from "vitest";
import { cutInTheBody, json, neverAnswers, startFaultServer, text } from "../../test/support/unit/fault-server";
import type { FaultyAnswer } from "../../test/support/unit/fault-server";
import { rejectionOf, thrownBy } from "../../test/support/unit/outcomes";
import { connectToApiServer, KubernetesError } from "./api-server";

// Servers of our own, over plain HTTP (which a kubeconfig allows with insecure-skip-tls-verify): a real API server cannot
// be made to give these answers.

const PATH = "/apis/serving.kserve.io/v1beta1/namespaces/models/inferenceservices/iris";

function kubeConfigFor(server: string, user: Readonly<Record<string, unknown>> = {}): KubeConfig {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromOptions({
    clusters: [{ name: "test", server, skipTLSVerify: true }],
    users: [{ name: "test", ...user }],
    contexts: [{ name: "test", cluster: "test", user: "test" }],
    currentContext: "test",
  });
  return kubeConfig;
}

async function failure(answer: FaultyAnswer, deadline = 10_000): Promise<KubernetesError> {
  const { url } = await startFaultServer(answer);
  const error = await rejectionOf(connectToApiServer(deadline, kubeConfigFor(url))({ method: "GET", path: PATH }));
  if (!(error instanceof KubernetesError)) throw error;
  return error;
}

describe("a request to the API server", () => {
  it("carries path, query, content type, body and the user's token", async () => {
    const server = await startFaultServer(json(201, { kind: "InferenceService" }));
    const apiServer = connectToApiServer(10_000, kubeConfigFor(`${server.url}/cluster/`, { token: "geheim" }));
    const answer = await apiServer({
      method: "PATCH",
      path: PATH,
      query: { fieldManager: "us & them" },
      contentType: "application/apply-patch+yaml",
      body: { name: "ü" },
    });
    expect(answer).toEqual({ status: 201, body: { kind: "InferenceService" } });
    expect(server.received).toMatchObject([
      {
        method: "PATCH",
        url: `/cluster${PATH}?fieldManager=us+%26+them`,
        headers: { authorization: "Bearer geheim", "content-type": "application/apply-patch+yaml" },
        body: '{"name":"ü"}',
      },
    ]);
  });

  it("escapes what YAML, as which the API server reads an Apply, would refuse or change", async () => {
    const server = await startFaultServer(json(200, {}));
    const body = { name: "a\u0085b\u2028\u007f\ufeff\uffffü😀" };
    await connectToApiServer(10_000, kubeConfigFor(server.url))({ method: "PATCH", path: PATH, body });
    expect(server.received[0]?.body).toBe('{"name":"a\\u0085b\\u2028\\u007f\\ufeff\\uffffü😀"}');
  });

  it("needs a cluster", () => {
    expect(thrownBy(() => connectToApiServer(1, new KubeConfig())).message).toBe(
      "No Kubernetes cluster is configured; set KUBECONFIG, or run inside a cluster",
    );
  });
});

describe("an answer of the API server", () => {
  it("that refuses is told with the Status's reason, message and object", async () => {
    const error = await failure(
      json(404, {
        kind: "Status",
        reason: "NotFound",
        message: '"iris" not found',
        details: { name: "iris", kind: "x" },
      }),
    );
    expect(error).toMatchObject({
      status: 404,
      reason: "NotFound",
      message: '"iris" not found',
      about: { name: "iris" },
    });
  });

  it.each([
    [
      "text, as for an unknown path",
      text(404, "text/plain", "404 page not found\n"),
      404,
      "was answered 404: 404 page not found",
    ],
    [
      "a proxy's page",
      text(502, "text/html", "<html>".padEnd(5000, "x")),
      502,
      `was answered 502: ${"<html>".padEnd(200, "x")}`,
    ],
    ["a Status without details", json(404, { message: "gone" }), 404, "gone"],
    ["JSON that is no Status", json(429, ["slow down"]), 429, 'was answered 429: ["slow down"]'],
    [
      "a redirect",
      (_: unknown, response: Parameters<FaultyAnswer>[1]) => response.writeHead(302).end(),
      302,
      "was answered 302: ",
    ],
  ])("that is %s names no object, so that nothing is taken for missing", async (_, answer, status, message) => {
    const error = await failure(answer);
    expect(error.status).toBe(status);
    expect(error.about.name).toBeUndefined();
    expect(error.message.endsWith(message)).toBe(true);
  });

  it("with 200 that is not JSON names cause and cure", async () => {
    const error = await failure(text(200, "text/html", "<html>Sign in</html>"));
    expect([error.status, error.reason]).toEqual([200, "NotJson"]);
    expect(error.message).toBe(
      `GET ${PATH} was answered 200 with 20 characters that are not JSON; check that the kubeconfig's server is the Kubernetes API server itself`,
    );
  });

  it.each([
    ["never comes", neverAnswers, 30, /no complete answer within 30 ms$/],
    ["is cut in its body", cutInTheBody('{"items": ['), undefined, /aborted$/],
  ])("that %s has status 0", async (_, answer, deadline, message) => {
    const error = await failure(answer, deadline);
    expect([error.status, error.reason]).toEqual([0, "NoAnswer"]);
    expect(error.message).toMatch(/^The Kubernetes API server cannot be reached: GET http:\/\/127\.0\.0\.1:\d+\/apis/);
    expect(error.message).toMatch(message);
  });
});

describe("credentials", () => {
  afterEach(() => vi.useRealTimers());

  /** Counts how often the credentials are read; `token` is the one of the next reading. */
  class CountingKubeConfig extends KubeConfig {
    readings = 0;
    token = "first";
    broken = false;

    override async applyToHTTPSOptions(options: RequestOptions): Promise<void> {
      this.readings++;
      await super.applyToHTTPSOptions(options);
      if (this.broken) throw new Error("the credential plugin failed");
      options.headers = { Authorization: `Bearer ${this.token}\n` };
    }
  }

  async function setUp(): Promise<{
    readonly kubeConfig: CountingKubeConfig;
    readonly request: () => Promise<unknown>;
    readonly authorizations: () => (string | undefined)[];
  }> {
    const server = await startFaultServer(json(200, {}));
    const kubeConfig = new CountingKubeConfig();
    kubeConfig.loadFromString(kubeConfigFor(server.url).exportConfig());
    const apiServer = connectToApiServer(10_000, kubeConfig);
    return {
      kubeConfig,
      request: () => apiServer({ method: "GET", path: PATH }),
      authorizations: () => server.received.map(({ headers }) => headers.authorization),
    };
  }

  it("are read once for all requests that begin together", async () => {
    const { kubeConfig, request } = await setUp();
    await Promise.all([request(), request(), request()]);
    await request();
    expect(kubeConfig.readings).toBe(1);
  });

  it("are read again after a minute, also when the clock was set back", async () => {
    vi.useFakeTimers({ toFake: ["Date", "performance"], now: 1_760_000_000_000 });
    const { kubeConfig, request, authorizations } = await setUp();
    await request();
    kubeConfig.token = "second";
    vi.advanceTimersByTime(59_999);
    await request();
    vi.setSystemTime(1_700_000_000_000);
    vi.advanceTimersByTime(1);
    await request();
    expect(authorizations()).toEqual(["Bearer first", "Bearer first", "Bearer second"]);
  });

  it("that cannot be read fail the request, and are tried again with the next", async () => {
    const { kubeConfig, request } = await setUp();
    kubeConfig.broken = true;
    expect((await rejectionOf(request())).message).toBe(
      `The Kubernetes API server cannot be reached: GET ${PATH}: the credential plugin failed`,
    );
    kubeConfig.broken = false;
    expect(await request()).toEqual({ status: 200, body: {} });
  });
});
