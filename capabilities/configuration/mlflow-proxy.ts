import { BlockList, isIPv4 } from "node:net";
import type { MlflowProxy } from "../mlflow/access";
import { SettingsError } from "./settings";
import type { Variables } from "./settings";

/** The variables that name a proxy, or what needs none, in upper and lower case. A URL with a password fits a Secret better. */
export const PROXY_VARIABLES: readonly string[] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"].flatMap(
  name => [name, name.toLowerCase()],
);

/**
 * The proxy that MLflow's Python client would take for an address: HTTPS_PROXY or HTTP_PROXY by the address's scheme, else
 * ALL_PROXY, and none for what NO_PROXY names. Lower case goes before upper case (requests 2.34, utils.py:
 * get_environ_proxies, should_bypass_proxies, select_proxy; Python's urllib.request: getproxies_environment).
 *
 * @returns undefined when MLflow is called directly
 * @throws SettingsError when what is named cannot be used
 */
export function proxyFor(target: URL, variables: Variables): MlflowProxy | undefined {
  const { value: exceptions } = lookUp("NO_PROXY", variables) ?? { value: "" };
  if (needsNoProxy(target, exceptions)) return undefined;
  const scheme = target.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const found = lookUp(scheme, variables) ?? lookUp("ALL_PROXY", variables);
  if (found === undefined) return undefined;
  const { name, value } = found;
  const url = value.includes("://") ? value : `http://${value.replace(/^\/\//, "")}`;
  const problem = problemOf(url);
  if (problem !== undefined) throw new SettingsError([{ name, value: undefined, message: problem }]);
  return { url: new URL(url).href, variable: name };
}

function lookUp(name: string, variables: Variables): { name: string; value: string } | undefined {
  for (const spelling of [name.toLowerCase(), name]) {
    const value = variables[spelling]?.trim();
    if (value) return { name: spelling, value };
  }
  return undefined;
}

/** The value is not shown: it may have a password. */
function problemOf(url: string): string | undefined {
  const form = "give http://host:port, with user:password@ before the host where the proxy wants them";
  if (!URL.canParse(url)) return `is no URL of a proxy; ${form}`;
  const { protocol, username, password, pathname, search, hash, port } = new URL(url);
  // What a password with such a character looks like.
  if (pathname.length > 1 || search !== "" || hash !== "") {
    return `has something behind host and port; ${form}, a / ? or # in them as %2F %3F or %23`;
  }
  if (port === "0" || !/^[a-z0-9+.-]+:\/\//i.test(url)) return `is no URL of a proxy; ${form}`;
  if (protocol !== "http:" && protocol !== "https:") {
    return `names a proxy of the kind ${protocol.slice(0, -1)}, and only HTTP proxies are supported; ${form}`;
  }
  try {
    decodeURIComponent(username + password);
    return undefined;
  } catch {
    return "has a percent sign in user or password that begins no escape; write it as %25";
  }
}

/** @param exceptions names, addresses and networks, separated by commas */
function needsNoProxy(target: URL, exceptions: string): boolean {
  const host = target.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const withPort = target.port === "" ? host : `${host}:${target.port}`;
  const entries = exceptions
    .toLowerCase()
    .split(",")
    .map(entry => entry.replaceAll(/\s/g, ""))
    .filter(entry => entry !== "");
  if (exceptions.trim() === "*") return true;
  return entries.some(entry => {
    const name = entry.replace(/^\.+/, "");
    // A name, and all below it.
    if (name !== "" && (host === name || host.endsWith(`.${name}`))) return true;
    return isIPv4(host) ? isInNetwork(host, entry) : withPort === name || withPort.endsWith(`.${name}`);
  });
}

function isInNetwork(address: string, entry: string): boolean {
  const [network = "", length = ""] = entry.split("/");
  const prefix = Number(length);
  if (!isIPv4(network) || !/^\d+$/.test(length) || prefix < 1 || prefix > 32) return false;
  const block = new BlockList();
  block.addSubnet(network, prefix);
  return block.check(address);
}
