/** The last ten minutes of the counters, as this page has seen them. Pure but for what it keeps. */

/** @typedef {import("./live.js").Counters} Counters */
/** @typedef {import("./past.js").Line} Line */
/** @typedef {{at: number, counters: Counters}} Sample `at` in seconds since the epoch */

/** For how long samples are kept, in seconds. */
const KEPT = 600;

/** After a longer time without samples the page knows less than the server, in seconds. */
const HOLE = 4;

export class History {
  constructor() {
    /** @type {Sample[]} */
    this.samples = [];
    /** Since when there is one every second, in seconds since the epoch. */
    this._unbroken = 0;
  }

  /** @param {number} at @param {Counters} counters */
  add(at, counters) {
    const last = this.samples.at(-1);
    // A clock that was set back, or counters of a new deployment: what came before belongs to neither.
    if (last && (at <= last.at || counters.retrieved_bytes < last.counters.retrieved_bytes)) [this.samples, this._unbroken] = [[], 0];
    else if (last && at > last.at + HOLE) this._unbroken = at;
    this.samples.push({ at, counters });
    while (this.samples[0].at < at - KEPT) this.samples.shift();
  }

  /**
   * @param {keyof Counters} name
   * @param {boolean} isRate whether the growth a second is wanted
   * @param {Line} past what the server knows, of which the time before this page's own samples is taken
   * @returns {Line}
   */
  line(name, isRate, past) {
    const samples = this.samples.filter((sample) => sample.at >= this._unbroken);
    const own = isRate ? samples.slice(1) : samples;
    const begin = own[0]?.at ?? Infinity;
    const many = past[0].findIndex((time) => time >= begin);
    const [times, values] = many < 0 ? past : [past[0].slice(0, many), past[1].slice(0, many)];
    const figures = own.map((sample, number) => {
      if (!isRate) return sample.counters[name];
      const before = samples[number];
      return (sample.counters[name] - before.counters[name]) / (sample.at - before.at);
    });
    return [times.concat(own.map((sample) => sample.at)), values.concat(figures)];
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
}
