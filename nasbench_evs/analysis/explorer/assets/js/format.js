// Numbers as the page shows them.

export const DASH = "–";

export function fixed(value, digits) {
  if (value === null || value === undefined) return DASH;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function bracketed(interval, i, digits) {
  return `${fixed(interval.value[i], digits)} [${fixed(interval.low[i], digits)}, ${fixed(interval.high[i], digits)}]`;
}

export function percent(value) {
  return value === null ? DASH : `${Math.round(100 * value)} %`;
}

export function count(number, what) {
  return `${fixed(number, 0)} ${what}${number === 1 ? "" : "s"}`;
}

export function short(text, most = 28) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
