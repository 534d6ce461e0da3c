/** What has become bad and well again: in words, and as a list. */

import { element } from "./dom.js";
import { Polling } from "./polling.js";
import { Table } from "./tables.js";
import { counted, momentWithSeconds, visible } from "./units.js";

/** @typedef {"ok" | "unknown" | "warning" | "critical" | "gone"} State */
/** @typedef {{at: string, name: string, subject: string, state: State, text: string, count: string | number}} HealthChange */

/** Milliseconds between two looks; an event leads to one at once. */
const EVERY = 60_000;

const MOST = 200;
const A_PAGE = 20;

/** @type {Record<string, string>} */
const NAMES = {
  redis: "Redis",
  "redis-memory": "Memory of Redis",
  "redis-log": "Append-only file of Redis",
  "redis-replicas": "Replicas of Redis",
  instances: "POP3 processes",
  connections: "Connections",
  clock: "Clock",
  refusals: "Refusals",
  certificate: "Certificate",
  "mail-disk": "Mail disk",
  "mail-disk-inodes": "Inodes of the mail disk",
  "mail-disk-latency": "Answer of the mail disk",
  instance: "POP3 process",
};

/** @type {Record<State, string>} */
export const WORDS = { critical: "critical", warning: "warning", unknown: "unknown", ok: "well", gone: "gone" };

/** @type {import("./tables.js").Column<HealthChange>[]} */
const COLUMNS = [
  { label: "When", className: "line-cell", show: (row) => momentWithSeconds(new Date(row.at)) },
  { label: "State", show: (row) => badge(row.state) },
  { label: "What", className: "name-cell", show: (row) => nameOf(row.name) },
  { label: "Where", className: "wide-cell", show: where },
  { label: "Details", className: "wide-cell", show: (row) => visible(row.text) },
];

/** @param {string} check @returns {string} its name, for people */
export function nameOf(check) {
  return NAMES[check] ?? check;
}

/** @param {State} state @returns {HTMLElement} */
export function badge(state) {
  return element("span", { class: `badge ${state}` }, WORDS[state] ?? state);
}

/** @param {HealthChange} change @returns {boolean} whether something is bad now */
export function isBad({ state }) {
  return state === "warning" || state === "critical";
}

/** @param {HealthChange} change @returns {[string, string]} what has changed, and how it is now */
export function inWords(change) {
  const { name, state, text } = change;
  const how = isBad(change) ? `${WORDS[state]}: ${visible(text)}` : state === "ok" ? "well again" : `not known to be bad any more: ${visible(text)}`;
  const place = where(change);
  return [nameOf(name), place ? `(${place}) is ${how}` : `is ${how}`];
}

/** The list of changes. */
export class HealthChanges {
  /** @param {import("./live.js").Live} live */
  constructor(live) {
    this._table = new Table({
      caption: "What has changed",
      columns: COLUMNS,
      key: (row) => [row.at, row.name, row.state].join(" "),
      nothing: "No check has become bad so far.",
      most: A_PAGE,
    });
    this._polling = new Polling(`v1/health/changes?limit=${MOST}`, ({ changes }) => this._table.render(changes), EVERY);
    this._isShown = false;
    this.root = element("section", { class: "view" }, element("h2", {}, "What has changed"), this._table.root);
    live.addEventListener("health", () => this._isShown && this._polling.now());
  }

  show() {
    this._isShown = true;
    this._polling.start();
  }

  hide() {
    this._isShown = false;
    this._polling.stop();
  }
}

/** @param {HealthChange} change */
function where({ subject, count: many }) {
  const others = Number(many) - 1;
  return visible(subject) + (others > 0 ? ` and ${counted(others, "other")}` : "");
}
