import { lookup } from "node:dns/promises";
import { hostname } from "node:os";

export const LOOPBACK = "127.0.0.1";

/**
 * A name by which every program on this machine reaches loopback, other than localhost, which servers treat as an address:
 * the machine's own, where it leads there and nowhere else (on many it leads to the network); else the address itself.
 */
export async function loopbackName(): Promise<string> {
  const name = hostname().toLowerCase();
  if (name === "localhost" || !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)) return LOOPBACK;
  try {
    const addresses = await lookup(name, { all: true });
    return addresses.length > 0 && addresses.every(({ address }) => address === LOOPBACK) ? name : LOOPBACK;
  } catch {
    return LOOPBACK;
  }
}
