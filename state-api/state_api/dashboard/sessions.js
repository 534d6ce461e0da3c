/** The open POP3 connections, and a button that closes one. */

import { segment } from "./api.js";
import { askToDelete } from "./dialogs.js";
import { byId, element, setText } from "./dom.js";
import { Field } from "./forms.js";
import { Polling } from "./polling.js";
import { Table } from "./tables.js";
import { count, counted, duration, octets } from "./units.js";

/**
 * @typedef {object} Session
 * @property {string} id
 * @property {string} instance
 * @property {string | null} username
 * @property {string} address
 * @property {string | null} tls
 * @property {number} seconds
 * @property {number} octets
 * @property {number} retrieved
 * @property {number} marked
 */

const MOST_ROWS = 200;
const NOBODY = "(not logged in)";

/** @type {import("./tables.js").Column<Session>[]} */
const COLUMNS = [
  { label: "User", className: "name-cell", show: (row) => name(row), order: (row) => row.username ?? "" },
  { label: "Address", className: "wide-cell", show: (row) => row.address, order: (row) => row.address },
  { label: "TLS", show: encryption, order: (row) => row.tls ?? "" },
  { label: "Open for", className: "numeric", show: (row) => duration(row.seconds), order: (row) => row.seconds },
  { label: "Sent", className: "numeric", show: (row) => octets(row.octets), order: (row) => row.octets, title: "Octets of replies" },
  { label: "Fetched", className: "numeric", show: (row) => count(row.retrieved), order: (row) => row.retrieved, title: "Messages fetched with RETR" },
  { label: "Marked", className: "numeric", show: (row) => count(row.marked), order: (row) => row.marked, title: "Messages marked as deleted" },
  { label: "Session", show: (row) => element("code", {}, row.id), order: (row) => row.id },
];

export class Sessions {
  constructor() {
    this._filter = new Field({ name: "filter", label: "Filter", type: "search", attributes: { placeholder: "User, address or session" } });
    this._filter.input.addEventListener("input", () => this._render());
    this._summary = element("p", { class: "summary muted" });
    this._table = new Table({
      caption: "Open POP3 connections",
      columns: COLUMNS,
      key: (row) => row.id,
      nothing: "No POP3 connection is open.",
      sorted: [3, -1],
      most: MOST_ROWS,
      actions: (row) => [this._closeButton(row)],
    });
    /** @type {Session[]} */
    this._sessions = [];
    this._polling = new Polling("v1/sessions", (body) => {
      this._sessions = body.sessions;
      this._render();
    });
    const toolbar = element("div", { class: "toolbar" }, this._filter.root, this._summary);
    byId("sessions").append(toolbar, this._table.root);
  }

  show() {
    this._polling.start();
  }

  hide() {
    this._polling.stop();
  }

  _render() {
    const wanted = this._filter.value.trim().toLowerCase();
    const found = this._sessions.filter((row) => isAbout(row, wanted));
    this._table.render(found, wanted ? "No session fits the filter." : undefined);
    const loggedIn = this._sessions.filter((row) => row.username !== null).length;
    setText(this._summary, `${counted(this._sessions.length, "session")}, ${count(loggedIn)} logged in`);
  }

  /** @param {() => Session} row */
  _closeButton(row) {
    const label = `Close the session of ${name(row())} from ${row().address}`;
    return element("button", { type: "button", class: "button small danger", "data-needs": "helpdesk", "aria-label": label, click: () => this._close(row()) }, "Close");
  }

  /** @param {Session} session */
  async _close(session) {
    const marked = session.marked
      ? `${counted(session.marked, "message")} marked as deleted will stay: only QUIT removes what is marked.`
      : "Nothing is removed from the maildrop.";
    await askToDelete({
      title: `Close the session of ${name(session)}?`,
      paragraphs: [`The client at ${session.address} is cut off in the middle of what it does. ${marked}`],
      action: "Close session",
      isDangerous: true,
      path: `v1/sessions/${segment(session.id)}`,
      goneKind: "unknown-session",
      done: `The session of ${name(session)} is closed`,
      reload: () => this._polling.now(),
      table: this._table.root,
    });
  }
}

/** @param {Session} session @param {string} wanted */
function isAbout(session, wanted) {
  return [session.username ?? NOBODY, session.address, session.id].some((text) => text.toLowerCase().includes(wanted));
}

/** @param {Session} session */
function name(session) {
  return session.username ?? NOBODY;
}

/** @param {Session} session */
function encryption(session) {
  if (!session.tls) return element("span", { class: "badge" }, "none");
  return element("span", { class: "badge good" }, session.tls.replace("TLSv", "TLS "));
}
