/** The live stream of the server, and whether what it says can be believed at this moment. */

import { get, Problem, tidings } from "./api.js";

/**
 * @typedef {object} Counters
 * @property {number} retrieved_bytes
 * @property {number} retrieved_emails
 * @property {number} removed_emails
 * @property {number} current_connections
 * @property {number} logged_in_users
 * @property {number} historical_connections
 * @property {number} historical_logins
 */

const KINDS = ["counters", "login", "logout", "setting", "gap"];

/** How long after the server has closed the stream we ask for another, in milliseconds. */
const RETRY = 2000;

/** How long a cut stream may take to come back before anybody is told: a restart is no news. */
const GRACE = 1500;

/** Counters come every second; after so long without any, something is wrong that nobody has told us. */
const SILENCE = 6000;

/** Dispatches a `CustomEvent` for each of `KINDS` with what came, and `condition` when that has changed. */
export class Live extends EventTarget {
  constructor() {
    super();
    /** Whether Redis answers the server, as far as we know. */
    this.store = true;
    /** Whether the stream is there. */
    this.stream = true;
    /** When the last figures came. @type {Date | null} */
    this.lastFigures = null;
    /** @type {EventSource | null} */
    this._source = null;
    /** @type {Set<ReturnType<typeof setTimeout>>} */
    this._timers = new Set();
    tidings.addEventListener("store-away", () => this._note({ store: false }));
    tidings.addEventListener("store-back", () => this._note({ store: true }));
  }

  /** Are the figures on the page those of now? */
  get isFresh() {
    return this.store && this.stream;
  }

  /** Connect, and go on connecting until `close`. */
  open() {
    this.close();
    const source = new EventSource("v1/events");
    this._source = source;
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => this._receive(kind, JSON.parse(event.data || "{}")));
    }
    source.addEventListener("store", (event) => this._note({ store: Boolean(JSON.parse(event.data).up) }));
    source.addEventListener("open", () => {
      this._clearTimers();
      this._after(SILENCE, () => this._note({ stream: false }));
      this._note({ stream: true });
    });
    source.addEventListener("error", () => this._lose(source));
  }

  /** Disconnect. */
  close() {
    this._clearTimers();
    this._source?.close();
    this._source = null;
  }

  /** @param {string} kind @param {unknown} detail */
  _receive(kind, detail) {
    if (kind === "counters") {
      this._clearTimers();
      this._after(SILENCE, () => this._note({ stream: false }));
      this.lastFigures = new Date();
      this._note({ store: true, stream: true });
    }
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  /** @param {EventSource} source */
  _lose(source) {
    if (source !== this._source) return;
    this._clearTimers();
    this._after(GRACE, () => this._note({ stream: false }));
    // A browser connects again by itself after a cut, but never after an answer that is an error.
    if (source.readyState === EventSource.CLOSED) this._after(RETRY, () => this._retry());
  }

  async _retry() {
    try {
      // The stream cannot tell why it was refused: this tells, and sends to the sign-in where that is why.
      await get("session");
    } catch (error) {
      if (error instanceof Problem && error.status === 401) return;
    }
    if (this._source) this._reopen();
  }

  _reopen() {
    const wasStream = this.stream;
    this.open();
    // Until it is there nothing is as it was.
    if (!wasStream) this._after(GRACE, () => this._note({ stream: false }));
  }

  /** @param {{store?: boolean, stream?: boolean}} news */
  _note(news) {
    const before = `${this.store} ${this.stream}`;
    Object.assign(this, news);
    if (before !== `${this.store} ${this.stream}`) this.dispatchEvent(new Event("condition"));
  }

  /** @param {number} milliseconds @param {() => void} action */
  _after(milliseconds, action) {
    const timer = setTimeout(() => {
      this._timers.delete(timer);
      action();
    }, milliseconds);
    this._timers.add(timer);
  }

  _clearTimers() {
    for (const timer of this._timers) clearTimeout(timer);
    this._timers.clear();
  }
}
