/** The POP3 processes that are alive. */

import { byId, element } from "./dom.js";
import { Polling } from "./polling.js";
import { Table } from "./tables.js";
import { ago, count } from "./units.js";

/**
 * @typedef {object} Instance
 * @property {string} id
 * @property {string} host
 * @property {number} process_id
 * @property {number} worker
 * @property {string} version
 * @property {string} started_at
 * @property {number} lease_seconds
 * @property {number} connections
 * @property {number} reserved
 * @property {number} load
 */

/** @type {import("./tables.js").Column<Instance>[]} */
const COLUMNS = [
  { label: "Host", className: "name-cell", show: (row) => row.host },
  { label: "Worker", className: "numeric", show: (row) => String(row.worker) },
  { label: "Process", className: "numeric", show: (row) => String(row.process_id) },
  { label: "Version", show: (row) => row.version },
  { label: "Started", show: (row) => ago(new Date(row.started_at)) },
  { label: "Connections", className: "numeric", show: (row) => count(row.connections) },
  { label: "Reserved", className: "numeric", show: (row) => count(row.reserved), title: "Slots of the connection limit that it holds, those of open connections included" },
  { label: "Load", className: "numeric", show: load, title: "Of one processor core" },
  { label: "Lease", className: "numeric", show: (row) => `${row.lease_seconds.toFixed(0)} s`, title: "How long it still counts as alive if it is not heard of again" },
];

export class Instances {
  constructor() {
    this._table = new Table({
      caption: "Live POP3 processes",
      columns: COLUMNS,
      key: (row) => row.id,
      nothing: "No POP3 process is alive: nobody can fetch mail.",
    });
    this._polling = new Polling("v1/instances", (body) => this._render(body.instances));
    byId("instances").append(
      element("p", { class: "muted" }, "Each POP3 process holds a lease that it renews every few seconds. When one dies, its sessions end with its lease."),
      this._table.root,
    );
  }

  show() {
    this._polling.start();
  }

  hide() {
    this._polling.stop();
  }

  /** @param {Instance[]} instances */
  _render(instances) {
    this._table.render(instances.sort((one, other) => one.host.localeCompare(other.host) || one.worker - other.worker));
  }
}

/** @param {Instance} instance */
function load(instance) {
  const percent = Math.round(instance.load * 100);
  const filled = element("span", {});
  // Set by script: the page's policy allows no styles in the markup.
  filled.style.width = `${Math.min(100, percent)}%`;
  return element("span", {}, element("span", { class: "meter", "aria-hidden": "true" }, filled), `${percent} %`);
}
