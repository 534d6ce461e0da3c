/** The slow-downs for wrong passwords, and a button that lifts one. */

import { segment } from "./api.js";
import { askToDelete } from "./dialogs.js";
import { byId, element, setText } from "./dom.js";
import { Polling } from "./polling.js";
import { Table } from "./tables.js";
import { ago, count, counted, duration } from "./units.js";

/**
 * @typedef {object} SlowDown
 * @property {string} id
 * @property {string | null} network
 * @property {string | null} username
 * @property {boolean} is_administrator
 * @property {string} since
 * @property {number} attempts
 * @property {string} until
 */

const MOST_ROWS = 200;

/** @type {import("./tables.js").Column<SlowDown>[]} */
const COLUMNS = [
  { label: "User", className: "name-cell", show: user, order: (row) => row.username ?? "" },
  { label: "Network", className: "wide-cell", show: (row) => row.network ?? "(any)", order: (row) => row.network ?? "" },
  { label: "Since", show: (row) => ago(new Date(row.since)), order: (row) => Date.parse(row.since), title: "When the first had to wait" },
  { label: "Held up", className: "numeric", show: (row) => count(row.attempts), order: (row) => row.attempts, title: "Attempts that have had to wait since" },
  { label: "Over in", className: "numeric", show: left, order: (row) => Date.parse(row.until), title: "If nobody tries until then" },
];

export class SlowDowns {
  constructor() {
    this._summary = element("p", { class: "summary muted" });
    this._table = new Table({
      caption: "Slow-downs for wrong passwords",
      columns: COLUMNS,
      key: (row) => row.id,
      nothing: "Nobody is slowed down for wrong passwords.",
      sorted: [3, -1],
      most: MOST_ROWS,
      actions: (row) => [this._liftButton(row)],
    });
    this._polling = new Polling("v1/slow-downs", (body) => this._render(body.slow_downs));
    byId("slow-downs").append(
      element(
        "p",
        { class: "muted" },
        "Wrong passwords use up what their network and their user are allowed. Until that is whole again, strangers wait; users who have logged in from the same network lately do not.",
      ),
      element("div", { class: "toolbar" }, this._summary),
      this._table.root,
    );
  }

  show() {
    this._polling.start();
  }

  hide() {
    this._polling.stop();
  }

  /** @param {SlowDown[]} slowDowns */
  _render(slowDowns) {
    this._table.render(slowDowns);
    setText(this._summary, counted(slowDowns.length, "slow-down"));
  }

  /** @param {() => SlowDown} row */
  _liftButton(row) {
    const label = `Lift the slow-down ${whose(row())}`;
    return element("button", { type: "button", class: "button small", "aria-label": label, "data-needs": "helpdesk", click: () => this._lift(row()) }, "Lift");
  }

  /** @param {SlowDown} slowDown */
  async _lift(slowDown) {
    await askToDelete({
      title: `Lift the slow-down ${whose(slowDown)}?`,
      paragraphs: ["Passwords are checked at once again. Guesses are slowed down anew after 20 wrong ones."],
      action: "Lift",
      path: `v1/slow-downs/${segment(slowDown.id)}`,
      goneKind: "unknown-slow-down",
      done: `The slow-down ${whose(slowDown)} is lifted`,
      reload: () => this._polling.now(),
      table: this._table.root,
    });
  }
}

/** @param {SlowDown} row */
function user(row) {
  if (row.username === null) return "(any)";
  if (!row.is_administrator) return row.username;
  return element("span", {}, row.username, " ", element("span", { class: "badge" }, "administrator"));
}

/** @param {SlowDown} row @returns {string} such as "of alice from 192.0.2.7" */
function whose(row) {
  const of = row.username === null ? "" : `of ${row.is_administrator ? "administrator " : ""}${row.username}`;
  const from = row.network === null ? "" : `from ${row.network}`;
  return [of, from].filter(Boolean).join(" ");
}

/** @param {SlowDown} row */
function left(row) {
  return duration((Date.parse(row.until) - Date.now()) / 1000);
}
