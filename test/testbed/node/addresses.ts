const PODS = 254 * 254;

/** The node's own address in the cluster. */
export const NODE_ADDRESS = "10.64.0.1";

/**
 * The address in the cluster of the pod with this number: 10.64.1.1 for number 0. The API accepts no loopback address
 * for what a Service leads to.
 */
export function podAddress(number: number): string {
  const place = number % PODS;
  return `10.64.${1 + Math.floor(place / 254)}.${1 + (place % 254)}`;
}

/** Where what has this address in the cluster is on this machine: each pod's has one of the loopback addresses. */
export function loopbackAddress(address: string): string {
  return address.replace(/^10\./, "127.");
}
