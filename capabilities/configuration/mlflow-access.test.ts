import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { thrownBy } from "../../test/support/unit/outcomes";
import { createCertificates } from "../../test/testbed/certificates";
import type { MlflowAccess } from "../mlflow/access";
import { readMlflowAccess } from "./mlflow-access";

const TOKEN_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/** Variables, with a machine that has these files. */
function access(
  variables: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
): MlflowAccess {
  return readMlflowAccess(variables, file => files[file] ?? readFileSync(file, "utf8"));
}

const problemsOf = (...args: Parameters<typeof access>): string => thrownBy(() => access(...args)).message;

describe("MLflow's credentials", () => {
  it("are user and password before a token, as in MLflow's own client", () => {
    const basic = `Basic ${Buffer.from("ada:pass:wörd").toString("base64")}`;
    const both = { MLFLOW_TRACKING_USERNAME: "ada", MLFLOW_TRACKING_PASSWORD: "pass:wörd" };
    expect(access(both).authorization).toBe(basic);
    expect(access({ ...both, MLFLOW_TRACKING_TOKEN: "token" }).authorization).toBe(basic);
  });

  it.each([
    [{ MLFLOW_TRACKING_USERNAME: "ada", MLFLOW_TRACKING_TOKEN: "token" }, "Bearer token"],
    [{ MLFLOW_TRACKING_PASSWORD: "x", MLFLOW_TRACKING_TOKEN: "token" }, "Bearer token"],
    [{ MLFLOW_TRACKING_TOKEN: "token", MLFLOW_KSERVE_MLFLOW_TRACKING_TOKEN_FILE: "/token" }, "Bearer token"],
    [{ MLFLOW_KSERVE_MLFLOW_TRACKING_TOKEN_FILE: "/token", MLFLOW_TRACKING_AUTH: "kubernetes" }, "Bearer of-a-file"],
    [{ MLFLOW_TRACKING_AUTH: "kubernetes" }, "Bearer of-the-pod"],
    [{ MLFLOW_TRACKING_AUTH: "of-our-own" }, undefined],
  ])("of %j are %s", (variables, authorization) => {
    const files = { "/token": "of-a-file\n", [TOKEN_FILE]: "of-the-pod" };
    expect(access(variables as Record<string, string>, files).authorization).toBe(authorization);
  });

  it.each([
    [{ MLFLOW_TRACKING_USERNAME: "ada" }, "MLFLOW_TRACKING_PASSWORD is not set, and MLFLOW_TRACKING_USERNAME is"],
    [{ MLFLOW_TRACKING_PASSWORD: "geheim" }, "MLFLOW_TRACKING_USERNAME is not set, and MLFLOW_TRACKING_PASSWORD is"],
    [{ MLFLOW_TRACKING_INSECURE_TLS: "yes" }, "MLFLOW_TRACKING_INSECURE_TLS is neither true nor false"],
  ])("of %j are told to be incomplete", (variables, problem) => {
    expect(problemsOf(variables as Record<string, string>)).toContain(problem);
    expect(problemsOf(variables as Record<string, string>)).not.toContain("geheim");
  });

  it("of an empty file are told to be none", () => {
    const problems = problemsOf({ MLFLOW_TRACKING_CLIENT_CERT_PATH: "/empty.pem" }, { "/empty.pem": "\n" });
    expect(problems).toContain("MLFLOW_TRACKING_CLIENT_CERT_PATH names an empty file");
  });

  it("in the address need no others", () => {
    const address = { MLFLOW_KSERVE_MLFLOW_TRACKING_URI: "http://ada:geheim@mlflow", MLFLOW_TRACKING_USERNAME: "ada" };
    expect(access(address).authorization).toBeUndefined();
  });

  it("that no header can have are refused, all at once and without showing them", () => {
    const problems = problemsOf(
      {
        MLFLOW_TRACKING_USERNAME: "a:geheim",
        MLFLOW_TRACKING_PASSWORD: "geheim\n",
        MLFLOW_TRACKING_SERVER_CERT_PATH: "/key.pem",
        MLFLOW_TRACKING_CLIENT_CERT_PATH: "/key.pem",
        MLFLOW_WORKSPACE: "team b",
      },
      { "/key.pem": "-----BEGIN PRIVATE KEY-----\ngeheim\n-----END PRIVATE KEY-----\n" },
    );
    expect(problems).toContain("MLFLOW_TRACKING_USERNAME has a colon");
    expect(problems).toContain("MLFLOW_TRACKING_PASSWORD has a line end");
    expect(problems).toContain("MLFLOW_TRACKING_SERVER_CERT_PATH names a file without a certificate; give one");
    expect(problems).toContain("MLFLOW_TRACKING_CLIENT_CERT_PATH names a file that cannot be used (");
    expect(problems).toContain("MLFLOW_WORKSPACE is not a name of a workspace");
    expect(problems).not.toContain("geheim");
  });

  it.each([
    [{ MLFLOW_TRACKING_TOKEN: "geheim\n" }, "MLFLOW_TRACKING_TOKEN has a space, a line end"],
    [{ MLFLOW_KSERVE_MLFLOW_TRACKING_TOKEN_FILE: "/two" }, "TOKEN_FILE has a space, a line end"],
    [{ MLFLOW_KSERVE_MLFLOW_TRACKING_TOKEN_FILE: "/empty" }, "TOKEN_FILE is empty; give the token alone"],
    [{ MLFLOW_KSERVE_MLFLOW_TRACKING_TOKEN_FILE: "/nowhere" }, "ENOENT"],
    [{ MLFLOW_TRACKING_AUTH: "kubernetes" }, "MLFLOW_TRACKING_AUTH cannot be used: ENOENT"],
  ])("of %j are refused", (variables, problem) => {
    const problems = problemsOf(variables as Record<string, string>, { "/two": "geheim\ngeheim\n", "/empty": "\n" });
    expect(problems).toContain(problem);
    expect(problems).not.toContain("geheim");
  });
});

describe("MLflow's TLS variables", () => {
  it("name certificates to trust and one of our own, or switch the check off, and not both", async () => {
    const { authority, server } = await createCertificates();
    const pair = server.certificate + server.privateKey;
    const files = { "/ca.pem": `# ours\n${authority.certificate}`, "/client.pem": pair };
    const variables = { MLFLOW_TRACKING_SERVER_CERT_PATH: "/ca.pem", MLFLOW_TRACKING_CLIENT_CERT_PATH: "/client.pem" };
    expect(access(variables, files).tls).toEqual({
      certificates: files["/ca.pem"],
      clientCertificate: pair,
      insecure: false,
    });
    expect(access({ MLFLOW_TRACKING_INSECURE_TLS: "true" }).tls.insecure).toBe(true);
    expect(access({ MLFLOW_TRACKING_INSECURE_TLS: "false" }).tls.insecure).toBe(false);
    const both = { MLFLOW_TRACKING_SERVER_CERT_PATH: "/ca.pem", MLFLOW_TRACKING_INSECURE_TLS: "true" };
    expect(problemsOf(both, files)).toMatch(/contradict each other; leave one out/);
    const cut = { "/ca.pem": authority.certificate.replace(/^[A-Za-z0-9+/]{20}/m, "") };
    expect(problemsOf({ MLFLOW_TRACKING_SERVER_CERT_PATH: "/ca.pem" }, cut)).toContain("that cannot be read (");
  });
});

describe("MLflow's workspace", () => {
  it("is the one that is set, or the pod's namespace with that plug-in", () => {
    const files = { [TOKEN_FILE]: "token", [NAMESPACE_FILE]: "team-a\n" };
    expect(access({}).workspace).toBeUndefined();
    expect(access({ MLFLOW_WORKSPACE: " team-b " }).workspace).toBe("team-b");
    expect(access({ MLFLOW_TRACKING_AUTH: "kubernetes" }, files).workspace).toBeUndefined();
    expect(access({ MLFLOW_TRACKING_AUTH: "kubernetes-namespaced" }, files).workspace).toBe("team-a");
    const both = { MLFLOW_TRACKING_AUTH: "kubernetes-namespaced", MLFLOW_WORKSPACE: "team-b" };
    expect(access(both, files).workspace).toBe("team-b");
  });
});
