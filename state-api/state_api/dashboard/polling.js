/** Asks again and again while somebody is looking. */

export class Polling {
  /**
   * @param {() => Promise<void>} ask must not throw
   * @param {number} milliseconds between an answer and the next question
   */
  constructor(ask, milliseconds) {
    this._ask = ask;
    this._milliseconds = milliseconds;
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

  /** Ask at once, or as soon as the question that is under way is answered. */
  async now() {
    clearTimeout(this._timer);
    if (this._isAsking) {
      this._isWantedAgain = true;
      return;
    }
    this._isAsking = true;
    do {
      this._isWantedAgain = false;
      await this._ask();
    } while (this._isWantedAgain && this._isRunning);
    this._isAsking = false;
    clearTimeout(this._timer);
    // A page that nobody sees does not ask; `visibilitychange` begins again.
    if (this._isRunning && !document.hidden) this._timer = setTimeout(() => this.now(), this._milliseconds);
  }
}
