/** Reads something again and again while its view is shown. */

import { get, Problem } from "./api.js";

/** Milliseconds from an answer to the next request. */
export const EVERY = 2500;

export class Polling {
  /**
   * @param {string | (() => string)} path
   * @param {(body: any) => void} show what to do with an answer, unless another is wanted by then; errors are shown at
   *   the top of the page
   * @param {number} [milliseconds] from an answer to the next request
   * @param {(problem: Problem) => void} [fail] what else to do with an error
   */
  constructor(path, show, milliseconds = EVERY, fail = () => {}) {
    this._path = path;
    this._show = show;
    this._milliseconds = milliseconds;
    this._fail = fail;
    this._isRunning = false;
    this._isWantedAgain = false;
    /** @type {Promise<void> | undefined} */
    this._asking = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._timer = undefined;
    document.addEventListener("visibilitychange", () => this._isRunning && !document.hidden && this.now());
  }

  /** @returns {Promise<void>} see `now` */
  start() {
    this._isRunning = true;
    return this.now();
  }

  stop() {
    this._isRunning = false;
    clearTimeout(this._timer);
  }

  /** Read at once, or as soon as the request that is under way is answered. @returns {Promise<void>} until it is shown */
  now() {
    clearTimeout(this._timer);
    if (this._asking) this._isWantedAgain = true;
    else this._asking = this._ask();
    return this._asking;
  }

  async _ask() {
    do {
      this._isWantedAgain = false;
      await this._read();
    } while (this._isWantedAgain && this._isRunning);
    this._asking = undefined;
    clearTimeout(this._timer);
    // A hidden page sends no requests; `visibilitychange` begins again.
    if (this._isRunning && !document.hidden) this._timer = setTimeout(() => this.now(), this._milliseconds);
  }

  async _read() {
    try {
      const body = await get(typeof this._path === "string" ? this._path : this._path());
      if (!this._isWantedAgain) this._show(body);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (!this._isWantedAgain) this._fail(error);
    }
  }
}
