// Characters that are not seen, or turn the direction or the line of what is read.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A text that somebody else wrote, with what cannot be seen in it made visible: two different texts never look the same. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, character => {
    const code = character.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** An address that may be made a link: one of http or https; undefined for any other text. */
export function linkable(address: string | undefined): string | undefined {
  if (address === undefined || !/^https?:\/\//i.test(address)) return undefined;
  return URL.canParse(address) ? address : undefined;
}

const two = (value: number): string => String(value).padStart(2, "0");

/** 2026-02-03 04:05:06, in the browser's time zone. */
export function momentText(milliseconds: number): string {
  const date = new Date(milliseconds);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clockText(milliseconds)}`;
}

/** 04:05:06, in the browser's time zone. */
export function clockText(milliseconds: number): string {
  const date = new Date(milliseconds);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
}

/** How long something took, in at most two units: 350 ms, 4.2 s, 3 min 5 s, 2 h, 5 d 3 h. */
export function durationText(milliseconds: number): string {
  if (milliseconds < 1_000) return `${Math.max(0, Math.round(milliseconds))} ms`;
  const seconds = milliseconds / 1_000;
  if (seconds < 10) return `${(Math.floor(seconds * 10) / 10).toString()} s`;
  const units: readonly (readonly [name: string, seconds: number])[] = [
    ["d", 86_400],
    ["h", 3_600],
    ["min", 60],
    ["s", 1],
  ];
  const first = units.findIndex(([, size]) => seconds >= size);
  const [[name, size] = ["s", 1], next] = units.slice(first, first + 2);
  const rest = next === undefined ? 0 : Math.floor((seconds % size) / next[1]);
  return `${Math.floor(seconds / size)} ${name}${next === undefined || rest === 0 ? "" : ` ${rest} ${next[0]}`}`;
}

/** How long ago something was, roughly: now, 40 s, 12 min, 5 h, 3 d. */
export function ageText(milliseconds: number): string {
  if (milliseconds < 5_000) return "now";
  // Whole seconds, and the first unit alone.
  const whole = Math.max(1, Math.floor(milliseconds / 1_000)) * 1_000;
  return durationText(whole).split(" ").slice(0, 2).join(" ");
}

/** A number with its thousands set apart. */
export function numberText(value: number): string {
  return value.toLocaleString("en");
}
