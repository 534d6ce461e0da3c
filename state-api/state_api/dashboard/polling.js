/** Reads something again and again while its view is shown. */

import { get, Problem } from "./api.js";

/** Milliseconds from an answer to the next request. */
export const EVERY = 2500;

export class Polling {
  /**
   * @param {string | (() => string)} path
   * @param {(body: any) => void} show what to do with an answer; errors are shown at the top of the page
   * @param {number} [milliseconds] from an answer to the next request
   * @param {(problem: Problem) => void} [fail] what else to do with an error
   */
  constructor(path, show, milliseconds = EVERY, fail = () => {}) {
    this._path = path;
    this._show = show;
    this._milliseconds = milliseconds;
    this._fail = fail;
    this._isRunning = false;
    this._isAsking = false;
    this._isWantedAgain = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._timer = undefined;
    document.addEventListener("visibilitychange", () => this._isRunning && !document.hidden && this.now());
  }

  start() {
    this._isRunning = true;
    this.now();
  }

  stop() {
    this._isRunning = false;
    clearTimeout(this._timer);
  }

  /** Read at once, or as soon as the request that is under way is answered. */
  async now() {
    clearTimeout(this._timer);
    if (this._isAsking) {
      this._isWantedAgain = true;
      return;
    }
    this._isAsking = true;
    do {
      this._isWantedAgain = false;
      await this._read();
    } while (this._isWantedAgain && this._isRunning);
    this._isAsking = false;
    clearTimeout(this._timer);
    // A hidden page sends no requests; `visibilitychange` begins again.
    if (this._isRunning && !document.hidden) this._timer = setTimeout(() => this.now(), this._milliseconds);
  }

  async _read() {
    try {
      this._show(await get(typeof this._path === "string" ? this._path : this._path()));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this._fail(error);
    }
  }
}
