/** Small charts, drawn by uPlot (vendor/). */

import { timeTick } from "./units.js";

// The library's build for plain scripts: a third of the size of its module.
const uPlot = /** @type {any} */ (globalThis).uPlot;

const HEIGHT = 112;
/** The pointer is at a change when it is so near, in pixels. */
const NEAR = 6;

const HOUR = 3600;
const DAY = 24 * HOUR;
const TIME_STEPS = [300, 600, 900, 1200, 1800, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY, 61 * DAY, 91 * DAY, 122 * DAY];

const AXIS_FONT = "11px system-ui, sans-serif";
const DARK = matchMedia("(prefers-color-scheme: dark)");

/**
 * @typedef {object} ChartOptions
 * @property {(value: number) => string} tick a value as the axis shows it
 * @property {number} least the axis reaches at least to this value, so that noise does not look like a mountain
 * @property {boolean} [isWhole] whether there are no values between the integers
 * @property {(point: Point | null) => void} onPoint what the pointer is at, null when it has left
 */

/** @typedef {{at: Date, value: number | null, change: Change | undefined}} Point */
/** @typedef {import("./past.js").Change} Change */
/** @typedef {import("./past.js").Line} Line */

/** One line over time, with the area under it. */
export class Chart {
  /** @param {HTMLElement} place @param {ChartOptions} options */
  constructor(place, options) {
    this._place = place;
    this._options = options;
    /** @type {Line} */
    this._data = [[], []];
    this._seconds = 0;
    /** @type {Change[]} */
    this._changes = [];
    /** @type {any} */
    this._plot = null;
    new ResizeObserver(() => this._fit()).observe(place);
    DARK.addEventListener("change", () => this._draw());
  }

  /** @param {Line} data @param {number} seconds how far back it shows @param {Change[]} changes to mark */
  show(data, seconds, changes) {
    const isSame = seconds === this._seconds;
    this._data = data;
    this._seconds = seconds;
    this._changes = changes;
    if (this._plot && isSame) {
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
      // The last time on the axis needs half its width beside the chart.
      padding: [8, 20, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { x: { range: () => this._times() }, y: { range: (/** @type {any} */ _, __ = 0, most = 0) => this._range(most) } },
      axes: [
        { ...axis, size: 22, space: 52, incrs: TIME_STEPS, grid: { show: false }, values: this._timeTicks.bind(this) },
        { ...axis, size: 46, space: 22, incrs: this._steps(), values: this._ticks.bind(this) },
      ],
      series: [{}, { stroke: accent, width: 1.5, fill: transparent(accent), points: { show: false }, paths: this._paths() }],
      hooks: {
        setCursor: [(/** @type {any} */ plot) => this._point(plot)],
        draw: [(/** @type {any} */ plot) => this._drawChanges(plot, style)],
      },
    };
  }

  /** @returns {[number, number]} */
  _times() {
    const now = Date.now() / 1000;
    return [now - this._seconds, now];
  }

  /** @param {number | null} most @returns {[number, number]} */
  _range(most) {
    return [0, Math.max(this._options.least, (most ?? 0) * 1.1)];
  }

  /** A number of connections is the largest since the sample before; a rate is what was between two. */
  _paths() {
    return this._options.isWhole ? uPlot.paths.stepped({ align: -1 }) : uPlot.paths.linear();
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

  /** @param {unknown} _ @param {number[]} values */
  _timeTicks(_, values) {
    return values.map((value) => timeTick(new Date(value * 1000), this._seconds));
  }

  /** @param {any} plot */
  _point(plot) {
    const { idx, left } = plot.cursor;
    const change = left >= 0 ? this._changes.find(({ at }) => Math.abs(plot.valToPos(at, "x") - left) < NEAR) : undefined;
    const value = idx === null || idx === undefined ? null : (this._data[1][idx] ?? null);
    const at = change?.at ?? this._data[0][idx];
    this._options.onPoint(change || value !== null ? { at: new Date(at * 1000), value, change } : null);
  }

  /** @param {any} plot @param {CSSStyleDeclaration} style */
  _drawChanges(plot, style) {
    const { ctx: canvas, bbox: box } = plot;
    canvas.save();
    canvas.setLineDash([4, 3]);
    for (const { at, isBad } of this._changes) {
      const x = Math.round(plot.valToPos(at, "x", true));
      if (x < box.left || x > box.left + box.width) continue;
      canvas.strokeStyle = style.getPropertyValue(isBad ? "--danger" : "--warning").trim();
      canvas.beginPath();
      canvas.moveTo(x, box.top);
      canvas.lineTo(x, box.top + box.height);
      canvas.stroke();
    }
    canvas.restore();
  }
}

/** @param {string} colour as #rrggbb */
function transparent(colour) {
  return `${colour}24`;
}
