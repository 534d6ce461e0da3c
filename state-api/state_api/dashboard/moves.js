/** Users who come from the old server (PEEP_MOVE_FROM), and whose mail is not all here yet. */

import { byId, element, setText } from "./dom.js";
import { Polling } from "./polling.js";
import { Table } from "./tables.js";
import { ago, count, counted } from "./units.js";

/**
 * @typedef {object} Move
 * @property {string} username
 * @property {"moving" | "interrupted" | "failed"} state
 * @property {number} messages_here
 * @property {number} messages
 * @property {string} at
 * @property {string | null} reason
 */

const MOST_ROWS = 200;

/** @type {import("./tables.js").Column<Move>[]} */
const COLUMNS = [
  { label: "User", className: "name-cell", show: (row) => row.username, order: (row) => row.username },
  { label: "State", show: (row) => row.state, order: (row) => row.state },
  { label: "Messages here", className: "numeric", show: here, order: (row) => row.messages_here },
  { label: "Since", show: (row) => ago(new Date(row.at)), order: (row) => Date.parse(row.at) },
  { label: "Why it failed", className: "wide-cell", show: (row) => row.reason ?? "", order: (row) => row.reason ?? "" },
];

export class Moves {
  constructor() {
    this._summary = element("p", { class: "summary muted" });
    this._table = new Table({
      caption: "Moves of mail",
      columns: COLUMNS,
      key: (row) => row.username,
      nothing: "No mail is being moved.",
      sorted: [1, 1],
      most: MOST_ROWS,
    });
    this._polling = new Polling("v1/moves", (body) => this._render(body));
    byId("moves").append(
      element(
        "p",
        { class: "muted" },
        "With PEEP_MOVE_FROM, a client that logs in with a password that the old server accepts becomes a user here, once all of the mail has come. The next login continues a move that was interrupted or failed.",
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

  /** @param {{source: string | null, moved: number, moves: Move[]}} body */
  _render({ source, moved, moves }) {
    this._table.render(moves);
    const from = source === null ? "No old server is set" : `From ${source}`;
    setText(this._summary, `${from}: ${counted(moved, "user")} moved, ${count(moves.length)} not yet`);
  }
}

/** @param {Move} row @returns {string} such as "412 of 1,532" */
function here(row) {
  return row.messages === 0 ? "" : `${count(row.messages_here)} of ${count(row.messages)}`;
}
