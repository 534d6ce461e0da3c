/** What is well and what is not, what to do, and what has changed. */

import { byId, element, setText } from "./dom.js";
import { badge, HealthChanges, nameOf, WORDS } from "./health-changes.js";
import { Polling } from "./polling.js";
import { Table } from "./tables.js";
import { counted } from "./units.js";

/** @typedef {"ok" | "unknown" | "warning" | "critical"} State */
/** @typedef {{name: string, subject: string, state: State, text: string, advice: string}} Check */

const EVERY = 5000;

/** From the worst to the best. @type {State[]} */
const STATES = ["critical", "warning", "unknown", "ok"];

/** @type {import("./tables.js").Column<Check>[]} */
const COLUMNS = [
  { label: "State", className: "line-cell", show: (row) => badge(row.state), order: (row) => STATES.indexOf(row.state) },
  { label: "What", className: "name-cell", show: (row) => nameOf(row.name), order: (row) => nameOf(row.name) },
  { label: "Where", className: "wide-cell", show: (row) => row.subject, order: (row) => row.subject },
  { label: "Details", className: "wide-cell", show: (row) => row.text },
  { label: "What to do", className: "wide-cell", show: (row) => row.advice },
];

/** Milliseconds between two looks for the sign in the navigation, which every page has. */
const SELDOM = 60_000;

/** Says in the navigation, on every page, that something is not well. */
export class HealthSign {
  /** @param {import("./live.js").Live} live */
  constructor(live) {
    this._polling = new Polling("v1/health", ({ state }) => showSign(state), SELDOM);
    live.addEventListener("health", () => this._polling.now());
  }

  show() {
    this._polling.start();
  }

  hide() {
    this._polling.stop();
  }
}

export class Health {
  /** @param {import("./live.js").Live} live */
  constructor(live) {
    this._summary = element("p", { class: "summary", role: "status" });
    this._table = new Table({
      caption: "Checks of health",
      columns: COLUMNS,
      key: (row) => `${row.name} ${row.subject}`,
      nothing: "Nothing was checked yet.",
      sorted: [0, 1],
    });
    this._polling = new Polling("v1/health", (body) => this._render(body), EVERY);
    this._changes = new HealthChanges(live);
    byId("health").append(element("div", { class: "toolbar" }, this._summary), this._table.root, this._changes.root);
  }

  show() {
    this._polling.start();
    this._changes.show();
  }

  hide() {
    this._polling.stop();
    this._changes.hide();
  }

  /** @param {{state: State, checks: Check[]}} report */
  _render({ state, checks }) {
    showSign(state);
    this._table.render(checks);
    const many = STATES.slice(0, 3).map((state) => [state, checks.filter((check) => check.state === state).length]);
    const parts = many.filter(([, number]) => number).map(([state, number]) => `${number} ${state}`);
    setText(this._summary, parts.length ? `Of ${counted(checks.length, "check")}: ${parts.join(", ")}` : `All ${counted(checks.length, "check")} are well`);
  }
}

/** @param {State} state */
function showSign(state) {
  const sign = byId("health-sign");
  sign.className = `badge ${state}`;
  setText(sign, state === "warning" || state === "critical" ? WORDS[state] : "");
}
