/** The way through a list of which the server gives one page at a time. */

import { button, element, setText } from "./dom.js";

/** The buttons lead from a page that is shown and answers what is asked for: until it is there, nobody can press them. */
export class Pages {
  /**
   * @param {string} label for screen readers
   * @param {[back: string, on: string]} words on the buttons
   * @param {import("./tables.js").Table<any>} table shows the page
   * @param {() => Promise<void>} load reads the page that begins at `start`, and calls `show` or `stay`
   */
  constructor(label, [back, on], table, load) {
    this._table = table;
    this._load = load;
    /** Where the pages begin that lead to the one that is wanted. @type {string[]} */
    this._starts = [""];
    /** The same for the one that is shown; null where that answers an earlier question. @type {string[] | null} */
    this._shown = null;
    /** @type {string | null} */
    this._next = null;
    this._isHeld = false;
    this._back = button(back, () => this._turn(-1), { kind: "small" });
    this._on = button(on, () => this._turn(1), { kind: "small" });
    this._place = element("p", { class: "muted", role: "status" });
    this.root = element("nav", { class: "toolbar", "aria-label": label }, this._back, this._on, this._place);
    this._disable();
  }

  /** Where the page begins that is wanted, in the server's words; empty for the first. */
  get start() {
    return /** @type {string} */ (this._starts.at(-1));
  }

  /** Somebody is asking something else: the next `read` is of the first page. */
  hold() {
    this._isHeld = true;
    this._disable();
  }

  /** Read the page that is wanted. @returns {Promise<void>} */
  read() {
    if (this._isHeld) {
      this._starts = [""];
      this._shown = null;
      this._isHeld = false;
    }
    return this._load();
  }

  /** Read the first page of something else. @returns {Promise<void>} */
  begin() {
    this.hold();
    return this.read();
  }

  /** @param {string | null} next where the page after the one that is shown begins @param {boolean} isNumbered */
  show(next, isNumbered) {
    // The answer to an earlier question.
    if (this._isHeld) return;
    this._shown = this._starts;
    this._next = next;
    this.stay();
    setText(this._place, isNumbered ? `Page ${this._starts.length}` : "");
  }

  /** The page that is wanted cannot be had: the buttons lead from the one that is shown. */
  stay() {
    if (this._isHeld || !this._shown) return;
    this._starts = this._shown;
    this._back.disabled = this._starts.length === 1;
    this._on.disabled = this._next === null;
  }

  /** @param {1 | -1} direction */
  async _turn(direction) {
    this._disable();
    const next = /** @type {string} */ (this._next);
    this._starts = direction > 0 ? [...this._starts, next] : this._starts.slice(0, -1);
    await this._load();
    this._table.goToTop();
  }

  _disable() {
    this._back.disabled = this._on.disabled = true;
  }
}
