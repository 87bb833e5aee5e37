import { describe, expect, it } from "vitest";
import { thrownBy } from "../../test/support/unit/outcomes";
import { readConfiguration } from "./configuration";
import { proxyFor } from "./mlflow-proxy";

// What is taken from the variables is compared with Python's requests itself: test/integration/proxies.test.ts.

const MLFLOW = new URL("https://mlflow.example.com");

describe("proxyFor", () => {
  it("names the variable, and takes a host alone for an HTTP proxy", () => {
    expect(proxyFor(MLFLOW, { HTTPS_PROXY: " gateway:3128 " })).toEqual({
      url: "http://gateway:3128/",
      variable: "HTTPS_PROXY",
    });
    expect(proxyFor(MLFLOW, { https_proxy: "", ALL_PROXY: "//gateway" })?.variable).toBe("ALL_PROXY");
    expect(proxyFor(MLFLOW, { HTTP_PROXY: "http://gateway:3128" })).toBeUndefined();
  });

  it.each([
    ["socks5h://user:geheim@gateway:1080", /^HTTPS_PROXY names a proxy of the kind socks5h, and only HTTP proxies/],
    ["http://user:geheim@", /^HTTPS_PROXY is no URL of a proxy; give http:..host:port, with user:password@/],
    ["user:geheim@gateway:port", /^HTTPS_PROXY is no URL of a proxy; give/],
    [
      "http://admin:1234#geheim@proxy:3128",
      /^HTTPS_PROXY has something behind host and port; give .* as %2F %3F or %23$/,
    ],
    ["http://gateway:0", /^HTTPS_PROXY is no URL of a proxy/],
    ["http://user:100%geheim@gateway:3128", /^HTTPS_PROXY has a percent sign .* write it as %25$/],
  ])("refuses %s with the cure, and without showing it", (value, problem) => {
    const { message } = thrownBy(() => proxyFor(MLFLOW, { HTTPS_PROXY: value }));
    expect(message.split("\n")[1]?.trim()).toMatch(problem);
    expect(message).not.toContain("geheim");
  });
});

it("tells of a proxy that cannot be used with everything else that is wrong", () => {
  const { message } = thrownBy(() =>
    readConfiguration({
      MLFLOW_KSERVE_MLFLOW_TRACKING_URI: "http://mlflow:5000",
      HTTP_PROXY: "socks4://gateway",
      MLFLOW_TRACKING_TOKEN: "two words",
    }),
  );
  expect(message).toMatch(/HTTP_PROXY names a proxy of the kind socks4/);
  expect(message).toMatch(/MLFLOW_TRACKING_TOKEN has a space/);
  expect(message).toMatch(/MLFLOW_WEBHOOK_SECRET is not set/);
});
