/** What was before this page was opened: the history that the server keeps, and the settings that were changed. */

import { get, Problem } from "./api.js";
import { button, element } from "./dom.js";
import { Polling } from "./polling.js";
import { settingOf } from "./settings.js";

/** @typedef {[number[], (number | null)[]]} Line times in seconds, and values; null where nothing is known */
/** @typedef {{at: number, text: string}} Change */

/** @type {{label: string, words: string, seconds: number, step: number}[]} */
const RANGES = [
  { label: "1 hour", words: "the last hour", seconds: 3600, step: 10 },
  { label: "24 hours", words: "the last 24 hours", seconds: 86400, step: 60 },
  { label: "7 days", words: "the last 7 days", seconds: 7 * 86400, step: 3600 },
  { label: "1 year", words: "the last year", seconds: 365 * 86400, step: 86400 },
];

const EVERY = 30000;
const MOST_CHANGES = 200;

/** The range that the charts show, and what the server knows of it. */
export class Past {
  /** @param {string[]} metrics @param {() => void} shown called when there is more to show, or something else */
  constructor(metrics, shown) {
    this._metrics = metrics;
    this._shown = shown;
    this.range = RANGES[0];
    /** The newest first. @type {Change[]} */
    this.changes = [];
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
    this.changes = [];
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
    const metrics = this._metrics.map((name) => `&metric=${name}`).join("");
    return `v1/history?from=${this._since()}&step=${this.range.step}${metrics}`;
  }

  _since() {
    return Math.floor(Date.now() / 1000) - this.range.seconds;
  }

  /** @param {any} body */
  _take(body) {
    this._times = body.times;
    this._series = new Map(body.series.map((/** @type {any} */ series) => [series.metric, series]));
    const since = this._since();
    this.changes = this.changes.filter((change) => change.at >= since);
    this._shown();
  }

  /** Not with each poll: for a year the server looks through all of the audit. */
  async readChanges() {
    const range = this.range;
    try {
      const { acts } = await get(`v1/audit?action=settings.change&since=${this._since()}&limit=${MOST_CHANGES}`);
      if (range === this.range) this.changes = acts.map(change);
      this._shown();
    } catch (error) {
      // The charts are worth as much without them.
      if (!(error instanceof Problem)) throw error;
    }
  }
}

/** @param {{at: string, who: string, object: string, old: string, new: string}} act @returns {Change} */
function change({ at, who, object, old, new: value }) {
  const known = settingOf(object);
  const show = (/** @type {string} */ text) => (text && known ? known.show(text) : text);
  const before = old ? ` (before: ${show(old)})` : "";
  return { at: Date.parse(at) / 1000, text: `${known?.subject ?? object} is now ${show(value)}${before}, by ${who}` };
}
