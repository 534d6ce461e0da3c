/** Numbers and times as people write them. All pure. */

const integers = new Intl.NumberFormat("en");
const OCTET_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** @type {Record<string, number>} */
const SECONDS = { s: 1, m: 60, min: 60, h: 3600, d: 86400 };

/** Names that `someOf` tells; the rest is a number. */
const MOST_NAMES = 8;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockWithSeconds = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric" });
const monthAndDay = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const dayAndClock = new Intl.DateTimeFormat(undefined, {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

/** @param {number} value @returns {string} such as "1,234" */
export function count(value) {
  return integers.format(value);
}

/** @param {number} value @returns {string} a rate or a mean: "0", "0.4", "12.5", "1,234" */
export function decimal(value) {
  if (value >= 100 || Number.isInteger(value)) return integers.format(Math.round(value));
  return value.toFixed(value < 0.1 ? 2 : 1);
}

/** @param {number} value @returns {[string, string]} a figure and its unit: ["1.2", "MB"] */
export function octetParts(value) {
  let power = 0;
  // 999.95 kB would be shown as 1000.0 kB.
  while (value >= 999.95 && power < OCTET_UNITS.length - 1) {
    value /= 1000;
    power += 1;
  }
  const digits = power === 0 || value >= 99.95 ? 0 : 1;
  return [value.toFixed(digits), OCTET_UNITS[power]];
}

/** @param {number} value @returns {string} such as "1.2 MB" */
export function octets(value) {
  return octetParts(value).join("\u00a0");
}

/** @param {number} seconds @returns {string} such as "12 s", "3 min 5 s", "2 h 10 min", "4 d 3 h" */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return both(whole, 60, "min", 1, "s");
  if (whole < 86400) return both(whole, 3600, "h", 60, "min");
  return both(whole, 86400, "d", 3600, "h");
}

/** @param {string} text such as "45s", "10 m", "2h" @returns {number | null} seconds; null of what is no time */
export function secondsOf(text) {
  const found = /^(\d{1,6}) ?(s|m|min|h|d)$/.exec(text);
  return found && Number(found[1]) * SECONDS[found[2]];
}

/** @param {Date} then @param {Date} [now] @returns {string} such as "just now", "3 min ago", a date when long ago */
export function ago(then, now = new Date()) {
  const seconds = (now.getTime() - then.getTime()) / 1000;
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return dayAndClock.format(then);
}

/** @param {Date} time @returns {string} "14:03" */
export function minuteOf(time) {
  return clock.format(time);
}

/** @param {Date} time @param {number} seconds how much time the axis shows @returns {string} "14:03", "Tue 24", "Nov 24" */
export function timeTick(time, seconds) {
  if (seconds <= 86400) return minuteOf(time);
  return (seconds <= 7 * 86400 ? weekday : monthAndDay).format(time);
}

/** @param {Date} time @returns {string} "14:03:12" */
export function secondOf(time) {
  return clockWithSeconds.format(time);
}

/** @param {Date} time @returns {string} with its day */
export function momentOf(time) {
  return dayAndClock.format(time);
}

/** @param {Date} time @returns {string} with its day, and to the second */
export function momentWithSeconds(time) {
  return `${day.format(time)} ${clockWithSeconds.format(time)}`;
}

/** @param {string} sentence of the API @returns {string} with its times as `momentOf` has them */
export function withMoments(sentence) {
  return sentence.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, (time) => momentOf(new Date(time)));
}

/** @param {string} text @returns {string} with what is not seen, or turns the direction of writing, spelt out */
export function visible(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`);
}

/** @param {string[]} names @returns {string} each once, such as "alice, bob and 3 others" */
export function someOf(names) {
  const distinct = [...new Set(names)];
  const rest = distinct.length - MOST_NAMES;
  return distinct.slice(0, MOST_NAMES).join(", ") + (rest > 0 ? ` and ${counted(rest, "other")}` : "");
}

/** @param {number} number @param {string} one @param {string} [many] @returns {string} "1 session", "2 sessions" */
export function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/**
 * @param {number} whole @param {number} large @param {string} largeUnit @param {number} small @param {string} smallUnit
 */
function both(whole, large, largeUnit, small, smallUnit) {
  const rest = Math.floor((whole % large) / small);
  return `${Math.floor(whole / large)} ${largeUnit}` + (rest ? ` ${rest} ${smallUnit}` : "");
}
