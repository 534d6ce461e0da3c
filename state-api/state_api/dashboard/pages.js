/** The way through a list of which the server gives one page at a time. */

import { button, element, setText } from "./dom.js";

export class Pages {
  /**
   * @param {string} label for screen readers
   * @param {[back: string, on: string]} words on the buttons
   * @param {import("./tables.js").Table<any>} table shows the page
   * @param {() => Promise<void>} load reads the page that begins at `start`
   */
  constructor(label, [back, on], table, load) {
    this._table = table;
    this._load = load;
    /** Where the pages begin that lead to the one that is shown. @type {string[]} */
    this._starts = [""];
    /** @type {string | null} */
    this._next = null;
    this._back = button(back, () => this._turn(-1), { kind: "small" });
    this._on = button(on, () => this._turn(1), { kind: "small" });
    this._place = element("p", { class: "muted", role: "status" });
    this.root = element("nav", { class: "toolbar", "aria-label": label }, this._back, this._on, this._place);
  }

  /** Where the page begins that is shown, in the server's words; empty for the first. */
  get start() {
    return /** @type {string} */ (this._starts.at(-1));
  }

  /** Go back to the first page, which the caller reads. */
  begin() {
    this._starts = [""];
  }

  /** @param {string | null} next where the page after the one that is shown begins @param {boolean} isNumbered */
  show(next, isNumbered) {
    this._next = next;
    this._back.disabled = this._starts.length === 1;
    this._on.disabled = next === null;
    setText(this._place, isNumbered ? `Page ${this._starts.length}` : "");
  }

  /** @param {1 | -1} direction */
  async _turn(direction) {
    if (direction > 0 && this._next !== null) this._starts.push(this._next);
    else if (direction < 0 && this._starts.length > 1) this._starts.pop();
    await this._load();
    this._table.goToTop();
  }
}
