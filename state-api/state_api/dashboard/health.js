/** What is well and what is not, and what to do. */

import { byId, element, setText } from "./dom.js";
import { Polling } from "./polling.js";
import { Table } from "./tables.js";
import { counted } from "./units.js";

/** @typedef {"ok" | "unknown" | "warning" | "critical"} State */
/** @typedef {{name: string, subject: string, state: State, text: string, advice: string}} Check */

const EVERY = 5000;

/** From the worst to the best. @type {State[]} */
const STATES = ["critical", "warning", "unknown", "ok"];

/** @type {Record<string, string>} */
const NAMES = {
  redis: "Redis",
  "redis-memory": "Memory of Redis",
  "redis-log": "Append-only file of Redis",
  "redis-replicas": "Replicas of Redis",
  instances: "POP3 processes",
  connections: "Connections",
  clock: "Clock",
  certificate: "Certificate",
  "mail-disk": "Mail disk",
  "mail-disk-inodes": "Inodes of the mail disk",
  "mail-disk-latency": "Answer of the mail disk",
  instance: "POP3 process",
};

/** @type {Record<State, string>} */
const WORDS = { critical: "critical", warning: "warning", unknown: "unknown", ok: "well" };

/** @type {import("./tables.js").Column<Check>[]} */
const COLUMNS = [
  { label: "State", show: (row) => element("span", { class: `badge ${row.state}` }, WORDS[row.state]), order: (row) => STATES.indexOf(row.state) },
  { label: "What", className: "name-cell", show: (row) => NAMES[row.name] ?? row.name, order: (row) => NAMES[row.name] ?? row.name },
  { label: "Where", className: "wide-cell", show: (row) => row.subject, order: (row) => row.subject },
  { label: "How it is", className: "wide-cell", show: (row) => row.text },
  { label: "What to do", className: "wide-cell", show: (row) => row.advice },
];

/** Milliseconds between two looks for the sign in the navigation, which every page has. */
const SELDOM = 60_000;

/** Says in the navigation, on every page, that something is not well. */
export class HealthSign {
  constructor() {
    this._polling = new Polling("v1/health", ({ state }) => showSign(state), SELDOM);
  }

  show() {
    this._polling.start();
  }

  hide() {
    this._polling.stop();
  }
}

export class Health {
  constructor() {
    this._summary = element("p", { class: "summary", role: "status" });
    this._table = new Table({
      caption: "What was looked at",
      columns: COLUMNS,
      key: (row) => `${row.name} ${row.subject}`,
      nothing: "Nothing was looked at yet.",
      sorted: [0, 1],
    });
    this._polling = new Polling("v1/health", (body) => this._render(body), EVERY);
    byId("health").append(element("div", { class: "toolbar" }, this._summary), this._table.root);
  }

  show() {
    this._polling.start();
  }

  hide() {
    this._polling.stop();
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
