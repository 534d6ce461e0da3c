/** What was before this page was opened: the history that the server keeps, and what has changed meanwhile. */

import { get, Problem } from "./api.js";
import { button, element } from "./dom.js";
import { inWords, isBad } from "./health-changes.js";
import { Polling } from "./polling.js";
import { settingOf } from "./settings.js";
import { counted, visible } from "./units.js";

/** @typedef {[number[], (number | null)[]]} Line times in seconds, and values; null where nothing is known */
/** @typedef {{at: number, text: string, isBad?: boolean}} Change */

/** @type {{label: string, words: string, seconds: number, step: number}[]} */
const RANGES = [
  { label: "1 hour", words: "the last hour", seconds: 3600, step: 10 },
  { label: "24 hours", words: "the last 24 hours", seconds: 86400, step: 60 },
  { label: "7 days", words: "the last 7 days", seconds: 7 * 86400, step: 3600 },
  { label: "1 year", words: "the last year", seconds: 365 * 86400, step: 86400 },
];

const EVERY = 30000;
const MOST_ACTS = 1000;
const MOST_HEALTH_CHANGES = 1000;

/** Acts of one kind by one administrator within so many seconds are one change. */
const TOGETHER = 60;

const INSTANCES = "instances";

/** The acts that are shown, each with what it has made of one object, and what several of these are.
 *  @type {Record<string, {done: string, many: string}>} */
const ACTS = {
  "user.suspend": { done: "is suspended", many: "users are suspended" },
  "network.ban": { done: "is banned", many: "networks are banned" },
  "network.exempt": { done: "is exempt from bans", many: "networks are exempt from bans" },
  "refusal.lift": { done: "is refused no longer", many: "users or networks are refused no longer" },
};

/** The range that the charts show, and what the server knows of it. */
export class Past {
  /** @param {string[]} metrics @param {() => void} shown called when there is more to show, or something else */
  constructor(metrics, shown) {
    this._metrics = metrics;
    this._shown = shown;
    this.range = RANGES[0];
    /** The newest first. @type {Change[]} */
    this.changes = [];
    /** By administrators, and of health. @type {Change[]} */
    this._noted = [];
    /** @type {number[]} */
    this._times = [];
    /** @type {Map<string, {values: (number | null)[], rates: (number | null)[] | null}>} */
    this._series = new Map();
    this._polling = new Polling(() => this._path(), (body) => this._take(body), EVERY);
    this._buttons = RANGES.map((range) => button(range.label, () => this._choose(range), { kind: "small" }));
    this.root = element("div", { class: "ranges", role: "group", "aria-label": "Time that the charts show" }, ...this._buttons);
    this._mark();
  }

  /** Whether what this page sees itself is shown too. */
  get isUntilNow() {
    return this.range === RANGES[0];
  }

  start() {
    this._polling.start();
    this.readChanges();
  }

  stop() {
    this._polling.stop();
  }

  /** @param {string} name @param {boolean} isRate @returns {Line} */
  line(name, isRate) {
    const series = this._series.get(name);
    return series ? [this._times, (isRate ? series.rates : series.values) ?? []] : [[], []];
  }

  /** @param {typeof RANGES[0]} range */
  _choose(range) {
    this.range = range;
    this.changes = this._noted = [];
    this._times = [];
    this._series.clear();
    this._mark();
    this._shown();
    this._polling.now();
    this.readChanges();
  }

  _mark() {
    this._buttons.forEach((one, number) => one.setAttribute("aria-pressed", String(RANGES[number] === this.range)));
  }

  _path() {
    const metrics = [...this._metrics, INSTANCES].map((name) => `&metric=${name}`).join("");
    return `v1/history?from=${this._since()}&step=${this.range.step}${metrics}`;
  }

  _since() {
    return Math.floor(Date.now() / 1000) - this.range.seconds;
  }

  /** @param {any} body */
  _take(body) {
    this._times = body.times;
    this._series = new Map(body.series.map((/** @type {any} */ series) => [series.metric, series]));
    this._showChanges();
  }

  _showChanges() {
    const since = this._since();
    const all = [...this._noted, ...startsAndEnds(this.line(INSTANCES, false))];
    this.changes = all.filter(({ at }) => at >= since).sort((one, other) => other.at - one.at);
    this._shown();
  }

  /** Not with each poll: for a year the server looks through all of the audit. */
  async readChanges() {
    const range = this.range;
    try {
      const actions = ["settings.change", ...Object.keys(ACTS)].join("+");
      const since = this._since();
      const [{ acts }, health] = await Promise.all([
        get(`v1/audit?action=${actions}&since=${since}&limit=${MOST_ACTS}`),
        get(`v1/health/changes?since=${since}&limit=${MOST_HEALTH_CHANGES}`),
      ]);
      if (range !== this.range) return;
      this._noted = [...together(acts).map(changeOf), ...health.changes.map(healthChange)];
      this._showChanges();
    } catch (error) {
      // The charts are worth as much without them.
      if (!(error instanceof Problem)) throw error;
    }
  }
}

/** @typedef {{at: string, who: string, action: string, object: string, old: string, new: string}} Act */

/** @param {Act[]} acts the newest first @returns {Act[][]} those that are one change */
function together(acts) {
  /** @type {Act[][]} */
  const all = [];
  for (const act of acts) {
    const [newest] = all.at(-1) ?? [];
    const isSame = newest && act.action in ACTS && newest.action === act.action && newest.who === act.who;
    if (isSame && Date.parse(newest.at) - Date.parse(act.at) < TOGETHER * 1000) all.at(-1)?.push(act);
    else all.push([act]);
  }
  return all;
}

/** @param {Act[]} acts that are one change @returns {Change} */
function changeOf([act, ...more]) {
  const { at, who, action, object } = act;
  if (!(action in ACTS)) return settingChange(act);
  const { done, many } = ACTS[action];
  // Of a refusal that was lifted the object is its kind and its subject.
  const what = more.length ? `${more.length + 1} ${many}` : `${visible(object.split(" ").at(-1) ?? "")} ${done}`;
  return { at: Date.parse(at) / 1000, text: `${what}, by ${who}` };
}

/** @param {Line} instances @returns {Change[]} when POP3 processes have started or ended */
export function startsAndEnds([times, values]) {
  /** @type {Change[]} */
  const changes = [];
  let before = /** @type {number | null} */ (null);
  for (const [place, value] of values.entries()) {
    if (value === null) continue;
    if (before !== null && value !== before) {
      changes.push({ at: times[place], text: `${counted(value, "POP3 process", "POP3 processes")} (before: ${before})` });
    }
    before = value;
  }
  return changes;
}

/** @param {import("./health-changes.js").HealthChange} change @returns {Change} */
function healthChange(change) {
  return { at: Date.parse(change.at) / 1000, text: inWords(change).join(" "), isBad: isBad(change) };
}

/** @param {Act} act @returns {Change} */
function settingChange({ at, who, object, old, new: value }) {
  const known = settingOf(object);
  const show = (/** @type {string} */ text) => (text && known ? known.show(text) : text);
  const before = old ? ` (before: ${show(old)})` : "";
  return { at: Date.parse(at) / 1000, text: `${known?.subject ?? object} is now ${show(value)}${before}, by ${who}` };
}
