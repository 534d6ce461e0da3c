/** Tables that are updated in place: a row that stays keeps its elements, and the focus. */

import { button, element, fill, setText } from "./dom.js";
import { count } from "./units.js";

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} label
 * @property {(row: Row) => string | HTMLElement} show
 * @property {(row: Row) => string | number} [order] what to sort by; without it, and `onSort`, the column is not sorted by
 * @property {string} [className] of its cells: `numeric`, `name-cell`, `wide-cell` (may be long), `line-cell` (stays in one line)
 * @property {string} [title] what the column means, where its label is short
 */

/**
 * @template Row
 * @typedef {object} TableOptions
 * @property {string} caption for screen readers
 * @property {Column<Row>[]} columns
 * @property {(row: Row) => string} key
 * @property {string} nothing what to say when there are no rows
 * @property {(row: () => Row) => HTMLElement[]} [actions] buttons of a row; the function gives its newest values
 * @property {[number, 1 | -1]} [sorted] number of a column, and 1 where its smallest comes first
 * @property {(column: number, direction: 1 | -1) => void} [onSort] called instead of sorting: the rows come in order
 * @property {number} [most] so many rows are shown at one time, with buttons to the others
 */

/** @template Row */
export class Table {
  /** @param {TableOptions<Row>} options */
  constructor(options) {
    this._options = options;
    /** @type {[number, 1 | -1] | undefined} */
    this._sorted = options.sorted;
    /** @type {Row[]} */
    this._rows = [];
    /** @type {Map<string, {root: HTMLTableRowElement, cells: HTMLTableCellElement[], row: Row}>} */
    this._shown = new Map();
    this._headings = options.columns.map((column, number) => this._heading(column, number));
    if (options.actions) {
      const heading = element("span", { class: "visually-hidden" }, "Actions");
      this._headings.push(element("th", { scope: "col", role: "columnheader" }, heading));
    }
    // With explicit roles: on a telephone the style sheet makes blocks of tables, which lose theirs.
    this._body = element("tbody", { role: "rowgroup" });
    this._table = element(
      "table",
      { role: "table", class: options.sorted ? "stacking" : "stacking unsorted" },
      element("caption", { class: "visually-hidden" }, options.caption),
      element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...this._headings)),
      this._body,
    );
    this._nothing = element("p", { class: "nothing" }, "Reading …");
    /** How many rows are before those that are shown. */
    this._first = 0;
    this._place = element("span", {});
    this._previous = button("Previous", () => this._turn(-1), { kind: "small" });
    this._next = button("Next", () => this._turn(1), { kind: "small" });
    this._foot = element("nav", { class: "table-foot", "aria-label": `Pages: ${options.caption}` }, this._previous, this._next, this._place);
    this.root = element(
      "div",
      { class: "card table-card live", tabindex: "-1", role: "region", "aria-label": options.caption },
      this._table,
      this._nothing,
      this._foot,
    );
    // Whether there is anything is not known yet.
    this._table.hidden = this._foot.hidden = true;
    this._markSorted();
  }

  /** @param {Row[]} rows @param {string} [nothing] what to say when there are none */
  render(rows, nothing = this._options.nothing) {
    this._rows = rows;
    const most = this._options.most ?? Math.max(1, rows.length);
    this._first = Math.min(this._first, Math.floor(Math.max(0, rows.length - 1) / most) * most);
    const focused = document.activeElement;
    const hadFocus = this._body.contains(focused);
    const wanted = new Map(this._inOrder().slice(this._first, this._first + most).map((row) => [this._options.key(row), row]));
    for (const [key, { root }] of this._shown) {
      if (!wanted.has(key)) {
        root.remove();
        this._shown.delete(key);
      }
    }
    let place = this._body.firstElementChild;
    for (const [key, row] of wanted) {
      const { root } = this._update(key, row);
      if (root === place) {
        place = place.nextElementSibling;
      } else {
        this._body.insertBefore(root, place);
      }
    }
    this._keepFocus(hadFocus, focused);
    this._foot.hidden = rows.length <= most;
    this._previous.disabled = this._first === 0;
    this._next.disabled = this._first + most >= rows.length;
    setText(this._place, `${count(this._first + 1)} to ${count(Math.min(this._first + most, rows.length))} of ${count(rows.length)}`);
    setText(this._nothing, nothing);
    this._nothing.hidden = rows.length > 0;
    this._table.hidden = rows.length === 0;
  }

  /** @param {number} first how many rows are to be before those that the next `render` shows */
  turnTo(first) {
    this._first = first;
  }

  /** @param {1 | -1} direction */
  _turn(direction) {
    this.turnTo(this._first + direction * (this._options.most ?? 0));
    this.render(this._rows);
    this.goToTop();
  }

  /** Show the beginning of the table, and give it the focus. */
  goToTop() {
    this.root.focus();
    this.root.scrollIntoView({ block: "start" });
  }

  /** A row that went away, or was moved, has lost the focus: it goes back, or to the table as a whole.
   *  @param {boolean} hadFocus @param {Element | null} focused */
  _keepFocus(hadFocus, focused) {
    if (!hadFocus || document.activeElement === focused) return;
    (focused instanceof HTMLElement && focused.isConnected ? focused : this.root).focus();
  }

  /** @param {string} key @param {Row} row */
  _update(key, row) {
    const shown = this._shown.get(key) ?? this._make(key, row);
    shown.row = row;
    this._options.columns.forEach((column, number) => {
      const content = column.show(row);
      const cell = shown.cells[number];
      const text = typeof content === "string" ? content : content.outerHTML;
      if (cell.dataset.shown === text) return;
      cell.dataset.shown = text;
      fill(cell, content);
    });
    return shown;
  }

  /** @param {string} key @param {Row} row */
  _make(key, row) {
    const cells = this._options.columns.map((column) =>
      element("td", { role: "cell", class: column.className ?? null, "data-label": column.label }),
    );
    const root = element("tr", { role: "row" }, ...cells);
    const shown = { root, cells, row };
    if (this._options.actions) {
      const buttons = this._options.actions(() => shown.row);
      root.append(element("td", { role: "cell", class: "actions-cell" }, ...buttons));
    }
    this._shown.set(key, shown);
    return shown;
  }

  /** @returns {Row[]} */
  _inOrder() {
    if (!this._sorted || this._options.onSort) return this._rows;
    const [number, direction] = this._sorted;
    const order = this._options.columns[number].order;
    if (!order) return this._rows;
    return [...this._rows].sort((one, other) => {
      const [left, right] = [order(one), order(other)];
      return left === right ? 0 : (left < right ? -1 : 1) * direction;
    });
  }

  /** @param {Column<Row>} column @param {number} number */
  _heading(column, number) {
    const attributes = { scope: "col", role: "columnheader", class: column.className === "numeric" ? "numeric" : null };
    const { sorted, onSort } = this._options;
    if (!sorted || !(column.order || onSort)) return element("th", { ...attributes, title: column.title }, column.label);
    const sort = element("button", { type: "button", class: "sort", title: column.title }, column.label);
    sort.addEventListener("click", () => this._sortBy(number));
    return element("th", { ...attributes, "aria-sort": "none" }, sort);
  }

  /** @param {number} number */
  _sortBy(number) {
    const isSame = this._sorted?.[0] === number;
    // Figures begin with the largest, words with the first of the alphabet.
    const first = this._options.columns[number].className === "numeric" ? -1 : 1;
    const isTurned = isSame && this._sorted?.[1] === first;
    /** @type {1 | -1} */
    const direction = isTurned === (first === 1) ? -1 : 1;
    this._sorted = [number, direction];
    this._markSorted();
    this.turnTo(0);
    if (this._options.onSort) this._options.onSort(number, direction);
    else this.render(this._rows);
  }

  _markSorted() {
    this._headings.forEach((heading, number) => {
      if (!heading.hasAttribute("aria-sort")) return;
      const direction = this._sorted?.[0] === number ? this._sorted[1] : 0;
      heading.setAttribute("aria-sort", direction === 0 ? "none" : direction > 0 ? "ascending" : "descending");
    });
  }
}
