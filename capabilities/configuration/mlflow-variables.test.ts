import { describe, expect, it } from "vitest";
import { ignoredMlflowVariables } from "./mlflow-variables";

describe("ignoredMlflowVariables", () => {
  it("names each of MLflow's variables that is set and not read, with what holds instead, and no value", () => {
    const ignored = ignoredMlflowVariables({
      MLFLOW_TRACKING_AUTH: "of-our-own",
      MLFLOW_WORKSPACE_STORE_URI: "sqlite:///geheim",
      MLFLOW_TRACKING_AWS_SIGV4: "true",
      MLFLOW_REGISTRY_URI: "http://user:geheim@elsewhere:5000",
      MLFLOW_HTTP_POOL_MAXSIZE: "20",
      MLFLOW_KSERVE_MLFLOW_TRACKING_URI: "https://mlflow",
      REQUESTS_CA_BUNDLE: "/etc/ssl/ours.crt",
      PATH: "/bin",
    });
    expect(ignored.map(({ name }) => name)).toEqual([
      "MLFLOW_HTTP_POOL_MAXSIZE",
      "MLFLOW_REGISTRY_URI",
      "MLFLOW_TRACKING_AUTH",
      "MLFLOW_TRACKING_AWS_SIGV4",
      "MLFLOW_WORKSPACE_STORE_URI",
      "REQUESTS_CA_BUNDLE",
    ]);
    expect(ignored[1]?.instead).toContain("MLFLOW_KSERVE_MLFLOW_TRACKING_URI");
    expect(ignored[2]?.instead).toContain("MLFLOW_TRACKING_TOKEN");
    expect(JSON.stringify(ignored)).not.toContain("geheim");
  });

  it.each([
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_WORKSPACE",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_KSERVE_APP_PORT",
    // Of Services named mlflow and mlflow-tracking.
    "MLFLOW_SERVICE_HOST",
    "MLFLOW_SERVICE_PORT",
    "MLFLOW_SERVICE_PORT_HTTP",
    "MLFLOW_PORT",
    "MLFLOW_PORT_5000_TCP",
    "MLFLOW_PORT_5000_TCP_ADDR",
    "MLFLOW_TRACKING_SERVICE_HOST",
    "MLFLOW_TRACKING_PORT_80_TCP_PROTO",
  ])("leaves out %s", name => {
    expect(ignoredMlflowVariables({ [name]: "true" })).toEqual([]);
  });

  it("leaves out what is empty, switched off, or says what our own setting says", () => {
    const uri = "http://mlflow:5000";
    const variables = { MLFLOW_WORKSPACE: "", MLFLOW_TRACKING_AUTH: undefined, MLFLOW_TRACKING_AWS_SIGV4: "False" };
    expect(ignoredMlflowVariables(variables)).toEqual([]);
    const authority = "/etc/ssl/ours.crt";
    const secure = { MLFLOW_KSERVE_MLFLOW_TRACKING_URI: "https://mlflow", CURL_CA_BUNDLE: authority };
    expect(ignoredMlflowVariables({ ...secure, MLFLOW_TRACKING_SERVER_CERT_PATH: authority })).toEqual([]);
    expect(ignoredMlflowVariables({ ...secure, MLFLOW_KSERVE_MLFLOW_TRACKING_URI: uri })).toEqual([]);
    const ours = { MLFLOW_KSERVE_MLFLOW_TRACKING_URI: uri };
    expect(ignoredMlflowVariables({ ...ours, MLFLOW_TRACKING_URI: uri })).toEqual([]);
    expect(ignoredMlflowVariables({ ...ours, MLFLOW_TRACKING_URI: "http://other:5000" })).toHaveLength(1);
  });
});
