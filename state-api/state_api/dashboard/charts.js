/** Small charts of the last ten minutes, drawn by uPlot (vendor/). */

import { KEPT } from "./history.js";
import { minuteOf } from "./units.js";

// The library's build for plain scripts: a third of the size of its module.
const uPlot = /** @type {any} */ (globalThis).uPlot;

const HEIGHT = 112;
/** A page that was just opened shows so many seconds, and then more and more. */
const LEAST_SECONDS = 120;

const AXIS_FONT = "11px system-ui, sans-serif";
const DARK = matchMedia("(prefers-color-scheme: dark)");

/**
 * @typedef {object} ChartOptions
 * @property {(value: number) => string} tick a value as the axis shows it
 * @property {number} least the axis reaches at least to this value, so that noise does not look like a mountain
 * @property {boolean} [isWhole] whether there are no values between the integers
 * @property {(point: {at: Date, value: number} | null) => void} onPoint what the pointer is at, null when it has left
 */

/** One line over time, with the area under it. */
export class Chart {
  /** @param {HTMLElement} place @param {ChartOptions} options */
  constructor(place, options) {
    this._place = place;
    this._options = options;
    /** @type {[number[], (number | null)[]]} */
    this._data = [[], []];
    /** @type {any} */
    this._plot = null;
    new ResizeObserver(() => this._fit()).observe(place);
    DARK.addEventListener("change", () => this._draw());
  }

  /** @param {[number[], (number | null)[]]} data times in seconds, and values */
  show(data) {
    this._data = data;
    if (this._plot) {
      this._plot.setData(data);
    } else {
      this._draw();
    }
  }

  _fit() {
    const width = this._place.clientWidth;
    if (width && this._plot) this._plot.setSize({ width, height: HEIGHT });
    else if (width) this._draw();
  }

  _draw() {
    this._plot?.destroy();
    this._plot = null;
    const width = this._place.clientWidth;
    // A view that is not shown has no width; it is drawn when it gets one.
    if (width) this._plot = new uPlot(this._plotOptions(width), this._data, this._place);
  }

  /** @param {number} width */
  _plotOptions(width) {
    const style = getComputedStyle(document.documentElement);
    const accent = style.getPropertyValue("--accent").trim();
    const axis = {
      stroke: style.getPropertyValue("--muted").trim(),
      font: AXIS_FONT,
      grid: { stroke: style.getPropertyValue("--line").trim(), width: 1 },
      ticks: { show: false },
    };
    return {
      width,
      height: HEIGHT,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { x: { range: () => this._times() }, y: { range: (/** @type {any} */ _, __ = 0, most = 0) => this._range(most) } },
      axes: [
        { ...axis, size: 22, space: 52, incrs: [60, 120, 300], grid: { show: false }, values: clockTimes },
        { ...axis, size: 46, space: 22, incrs: this._steps(), values: this._ticks.bind(this) },
      ],
      series: [{}, { stroke: accent, width: 1.5, fill: transparent(accent), points: { show: false }, paths: this._paths() }],
      hooks: { setCursor: [(/** @type {any} */ plot) => this._point(plot.cursor.idx)] },
    };
  }

  /** @returns {[number, number]} */
  _times() {
    const now = Date.now() / 1000;
    const known = now - (this._data[0][0] ?? now);
    return [now - Math.min(KEPT, Math.max(LEAST_SECONDS, known)), now];
  }

  /** @param {number | null} most @returns {[number, number]} */
  _range(most) {
    return [0, Math.max(this._options.least, (most ?? 0) * 1.1)];
  }

  /** A number of connections stays what it is until the next sample; a rate is what was between two. */
  _paths() {
    return this._options.isWhole ? uPlot.paths.stepped({ align: 1 }) : uPlot.paths.linear();
  }

  _steps() {
    const powers = [];
    for (let power = this._options.isWhole ? 1 : 0.01; power < 1e15; power *= 10) powers.push(power, 2 * power, 5 * power);
    return powers;
  }

  /** @param {unknown} _ @param {number[]} values */
  _ticks(_, values) {
    return values.map((value) => this._options.tick(value));
  }

  /** @param {number | null | undefined} number */
  _point(number) {
    const value = number === null || number === undefined ? null : this._data[1][number];
    const isKnown = value !== null && value !== undefined;
    this._options.onPoint(isKnown ? { at: new Date(this._data[0][Number(number)] * 1000), value } : null);
  }
}

/** @param {unknown} _ @param {number[]} values */
function clockTimes(_, values) {
  return values.map((value) => minuteOf(new Date(value * 1000)));
}

/** @param {string} colour as #rrggbb */
function transparent(colour) {
  return `${colour}24`;
}
