/** The server's stream of events, and whether the figures that it brought are up to date. */

import { condition as serverCondition, get, Problem } from "./api.js";

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

/** @typedef {Counters & {max_connections: number, users: string[], at: string}} Moment with some of those who are logged in */

const KINDS = ["counters", "login", "logout", "setting", "refused", "slowed", "refusal", "health", "gap"];

/** Milliseconds until another stream is opened, after the server has closed one. */
const RETRY = 2000;

/** Milliseconds in which a cut stream may come back before the page says so: a restart is no news. */
const GRACE = 1500;

/** Counters come every second; after so many milliseconds without any the stream counts as lost. */
const SILENCE = 6000;

/** Dispatches a `CustomEvent` for each event of `KINDS`, `condition` when that has changed, and `back` when what was away is back. */
export class Live extends EventTarget {
  constructor() {
    super();
    /** Whether Redis answers the server, as far as we know. */
    this.store = true;
    /** @type {"connecting" | "there" | "lost"} */
    this.stream = "connecting";
    /** When the last figures came. @type {Date | null} */
    this.lastFigures = null;
    /** @type {EventSource | null} */
    this._source = null;
    this._isLost = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._silence = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._retrying = undefined;
    serverCondition.addEventListener("store-away", () => this._note({ store: false }));
    serverCondition.addEventListener("store-back", () => this._note({ store: true }));
  }

  /** Whether the figures on the page are up to date. */
  get isFresh() {
    return this.store && this.stream === "there";
  }

  /** Whether they are known to be old. */
  get isAway() {
    return !this.store || this.stream === "lost";
  }

  /** Connect, and go on connecting until `close`. */
  open() {
    this.close();
    this._isLost = false;
    this._note({ stream: "connecting" });
    this._expectWithin(SILENCE);
    this._connect();
  }

  /** Disconnect. */
  close() {
    clearTimeout(this._silence);
    clearTimeout(this._retrying);
    this._source?.close();
    this._source = null;
  }

  _connect() {
    const source = new EventSource("v1/events");
    this._source = source;
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => this._receive(kind, JSON.parse(event.data || "{}")));
    }
    source.addEventListener("store", (event) => this._note({ store: Boolean(JSON.parse(event.data).up) }));
    source.addEventListener("open", () => this._find());
    source.addEventListener("error", () => this._lose(source));
  }

  /** @param {string} kind @param {unknown} detail */
  _receive(kind, detail) {
    if (kind === "counters") {
      this.lastFigures = new Date();
      this._note({ store: true });
      this._find();
    }
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  _find() {
    this._isLost = false;
    this._expectWithin(SILENCE);
    this._note({ stream: "there" });
  }

  /** @param {EventSource} source */
  _lose(source) {
    if (source !== this._source) return;
    // Each failed attempt to connect again comes here too: the grace is that of the first.
    if (!this._isLost) this._expectWithin(GRACE);
    this._isLost = true;
    // A browser connects again by itself after a cut, but not after an error as the answer.
    if (source.readyState === EventSource.CLOSED) this._retrying = setTimeout(() => this._retry(), RETRY);
  }

  async _retry() {
    const refused = this._source;
    try {
      // A refused stream has no reason. This request has one, and leads to the sign-in where that is it.
      await get("session");
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
    // Signed out meanwhile, or in again.
    if (refused && refused === this._source) this._connect();
  }

  /** @param {number} milliseconds after which the stream counts as lost, unless something comes */
  _expectWithin(milliseconds) {
    clearTimeout(this._silence);
    this._silence = setTimeout(() => this._note({ stream: "lost" }), milliseconds);
  }

  /** @param {{store?: boolean, stream?: "connecting" | "there" | "lost"}} news */
  _note(news) {
    const wasAway = this.isAway;
    const before = `${this.store} ${this.stream}`;
    Object.assign(this, news);
    // Without Redis no figures come: a silent stream is no lost one. A cut is an `error`.
    if (!this.store && !this._isLost) clearTimeout(this._silence);
    if (before !== `${this.store} ${this.stream}`) this.dispatchEvent(new Event("condition"));
    if (wasAway && this.isFresh) this.dispatchEvent(new Event("back"));
  }
}
