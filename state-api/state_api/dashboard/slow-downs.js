/** Who has to wait for wrong passwords, and the means to end that. */

import { get, Problem, request, segment } from "./api.js";
import { ask } from "./dialogs.js";
import { announce, byId, element, setText } from "./dom.js";
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

const EVERY = 2500;
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
    this._polling = new Polling(() => this._ask(), EVERY);
    byId("slow-downs").append(
      element(
        "p",
        { class: "muted" },
        "Wrong passwords use up what their network and their user are allowed. Until that is whole again, strangers wait; who has logged in from the same network lately does not.",
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

  async _ask() {
    try {
      /** @type {SlowDown[]} */
      const found = (await get("v1/slow-downs")).slow_downs;
      this._table.render(found);
      setText(this._summary, counted(found.length, "slow-down"));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  }

  /** @param {() => SlowDown} row */
  _liftButton(row) {
    const button = element("button", { type: "button", class: "button small" }, "Lift");
    button.setAttribute("aria-label", `Lift the slow-down ${whose(row())}`);
    button.addEventListener("click", () => this._lift(row()));
    return button;
  }

  /** @param {SlowDown} slowDown */
  async _lift(slowDown) {
    const isLifted = await ask({
      title: `Lift the slow-down ${whose(slowDown)}?`,
      paragraphs: ["Passwords are checked at once again. Who goes on guessing is slowed down anew after 20 wrong ones."],
      action: "Lift",
      run: () => lift(slowDown.id),
    });
    if (!isLifted) return;
    announce(`The slow-down ${whose(slowDown)} is lifted`);
    await this._polling.now();
    if (document.activeElement === document.body) this._table.root.focus();
  }
}

/** @param {string} id */
async function lift(id) {
  try {
    await request("DELETE", `v1/slow-downs/${segment(id)}`);
  } catch (error) {
    // It was over before we came: what was wanted is so.
    if (!(error instanceof Problem && error.kind === "unknown-slow-down")) throw error;
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
