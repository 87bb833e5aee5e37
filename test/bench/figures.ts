/** A number of things in a second. */
export function rate(perSecond: number): string {
  return perSecond >= 100 ? whole(Math.round(perSecond)) : perSecond.toFixed(1);
}

/** Milliseconds with their unit. */
export function time(milliseconds: number): string {
  return `${milliseconds >= 100 ? milliseconds.toFixed(0) : milliseconds.toFixed(1)} ms`;
}

/** How many times as much. */
export function ratio(value: number): string {
  return `${value.toFixed(2)} ×`;
}

/** A share of 1. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

/** MiB with their unit. */
export function mebibytes(memory: number): string {
  return `${memory.toFixed(0)} MiB`;
}

/** A count, with its thousands apart. */
export function whole(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}
