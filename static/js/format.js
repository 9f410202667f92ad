// How a number is written: the same as trading/selectors/numbers.py. Unknown is a dash, never 0.
const UNKNOWN = "\u2014";
const MINUS = "\u2212";
const formats = new Map();

function digits(decimals) {
  if (!formats.has(decimals)) {
    formats.set(decimals, new Intl.NumberFormat("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
  }
  return formats.get(decimals);
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

export function plain(value, decimals = 2) {
  if (!isNumber(value)) return UNKNOWN;
  const text = digits(decimals).format(Math.abs(value));
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

export function sign(value, decimals = 2) {
  if (!isNumber(value) || !/[1-9]/.test(digits(decimals).format(Math.abs(value)))) return 0;
  return value > 0 ? 1 : -1;
}

export function signed(value, decimals = 2) {
  const text = plain(value, decimals);
  return sign(value, decimals) === 1 ? `+${text}` : text;
}

export function text(value) {
  return value === null || value === undefined || value === "" ? UNKNOWN : String(value);
}

export function clock(ms) {
  return isNumber(ms) ? new Date(ms).toISOString().slice(11, 19) : UNKNOWN;
}

export function age(seconds) {
  if (!isNumber(seconds)) return UNKNOWN;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}
