/** The last ten minutes of the counters, as this page has seen them. Pure but for what it keeps. */

/** @typedef {import("./live.js").Counters} Counters */
/** @typedef {{at: number, counters: Counters}} Sample `at` in seconds since the epoch */

/** For how long samples are kept, in seconds. */
export const KEPT = 600;

/** A longer time between two samples is a hole, not a slope, in seconds. */
const HOLE = 4;

export class History {
  constructor() {
    /** @type {Sample[]} */
    this.samples = [];
  }

  /** @param {number} at @param {Counters} counters */
  add(at, counters) {
    const last = this.samples.at(-1);
    // A clock that was set back, or counters of a new deployment: what came before belongs to neither.
    if (last && (at <= last.at || counters.retrieved_bytes < last.counters.retrieved_bytes)) this.samples = [];
    this.samples.push({ at, counters });
    while (this.samples[0].at < at - KEPT) this.samples.shift();
  }

  /**
   * @param {keyof Counters} name
   * @returns {[number[], (number | null)[]]} times and values, with null where nothing is known
   */
  values(name) {
    return this._series((sample) => sample.counters[name]);
  }

  /**
   * @param {keyof Counters} name
   * @returns {[number[], (number | null)[]]} times, and the growth a second since the sample before
   */
  rates(name) {
    return this._series((sample, before) =>
      before ? (sample.counters[name] - before.counters[name]) / (sample.at - before.at) : null,
    );
  }

  /**
   * @param {keyof Counters} name
   * @param {number} seconds
   * @returns {{growth: number, seconds: number}} growth over the last so many seconds, or over as many as are known
   */
  growth(name, seconds) {
    const last = this.samples.at(-1);
    if (!last) return { growth: 0, seconds: 0 };
    const first = this.samples.find((sample) => sample.at >= last.at - seconds - 0.5) ?? last;
    return { growth: last.counters[name] - first.counters[name], seconds: last.at - first.at };
  }

  /** @param {keyof Counters} name @returns {number} the growth a second, smoothed over five seconds */
  rate(name) {
    const { growth, seconds } = this.growth(name, 5);
    return seconds > 0 ? growth / seconds : 0;
  }

  /**
   * @param {(sample: Sample, before: Sample | undefined) => number | null} value
   * @returns {[number[], (number | null)[]]}
   */
  _series(value) {
    /** @type {number[]} */
    const times = [];
    /** @type {(number | null)[]} */
    const values = [];
    /** @type {Sample | undefined} */
    let before;
    for (const sample of this.samples) {
      if (before && sample.at - before.at > HOLE) {
        times.push((sample.at + before.at) / 2);
        values.push(null);
        before = undefined;
      }
      times.push(sample.at);
      values.push(value(sample, before));
      before = sample;
    }
    return [times, values];
  }
}
