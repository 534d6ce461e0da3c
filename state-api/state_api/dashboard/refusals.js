/** What is refused: suspended users, banned and exempt networks, slow-downs for wrong passwords; each can be lifted. */

import { segment } from "./api.js";
import { askToDelete } from "./dialogs.js";
import { button, byId, element, setText } from "./dom.js";
import { Field, whenTyped } from "./forms.js";
import { Polling } from "./polling.js";
import { askForNetwork, askForSuspension } from "./refusing.js";
import { Table } from "./tables.js";
import { count, counted, duration, momentOf, visible } from "./units.js";

/** @typedef {"suspend" | "ban" | "exempt" | "slow-down"} Kind */

/**
 * @typedef {object} Refusal
 * @property {string} id
 * @property {"suspend" | "ban" | "exempt"} kind
 * @property {string} subject
 * @property {string} reason
 * @property {string | null} until
 * @property {string} by
 * @property {string} since
 */

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

/** @typedef {{kind: Kind, subject: string, isAdministrator: boolean, until: string | null, since: string, by: string, reason: string, path: string, id: string}} Row */

const MOST_ROWS = 200;
const TYPING = 300;

/** @type {Record<Kind, {word: string, thing: string, after: string}>} */
const KINDS = {
  suspend: { word: "suspended", thing: "suspension of", after: "The user can log in at once." },
  ban: { word: "banned", thing: "ban of", after: "POP3 connections from there are accepted again at once." },
  exempt: { word: "exempt", thing: "exemption of", after: "Bans and slow-downs apply to this network again." },
  "slow-down": { word: "slowed down", thing: "slow-down", after: "Passwords are checked at once again. Guesses are slowed down anew after 20 wrong ones." },
};

/** @type {import("./tables.js").Column<Row>[]} */
const COLUMNS = [
  { label: "Who", className: "name-cell", show: subject, order: (row) => row.subject },
  { label: "Is", show: (row) => element("span", { class: "badge" }, KINDS[row.kind].word), order: (row) => row.kind },
  { label: "Reason", className: "wide-cell", show: (row) => row.reason, order: (row) => row.reason },
  { label: "Until", className: "line-cell", show: until, order: (row) => (row.until ? Date.parse(row.until) : Infinity), title: "When it ends by itself" },
  { label: "By", className: "wide-cell", show: (row) => visible(row.by), order: (row) => row.by },
  { label: "Since", className: "line-cell", show: (row) => momentOf(new Date(row.since)), order: (row) => Date.parse(row.since) },
];

export class Refusals {
  constructor() {
    /** @type {Row[]} */
    this._refusals = [];
    /** @type {Row[]} */
    this._slowDowns = [];
    this._counts = { suspended: 0, banned: 0, exempt: 0 };
    this._hasMore = false;
    this._find = new Field({ name: "text", label: "Find", type: "search", attributes: { maxlength: 200, placeholder: "User, network, reason, who" } });
    this._forgetTyped = whenTyped([this._find], TYPING, () => this._polling.now());
    this._summary = element("p", { class: "summary muted" });
    this._more = element("p", { class: "muted", hidden: true }, `The first ${MOST_ROWS} are shown; the filter finds the others.`);
    this._logins = element("p", {}, element("a", { href: "#users/refused" }, "Users whose logins were refused lately, and why"));
    this._table = new Table({
      caption: "Suspensions, bans, exemptions and slow-downs",
      columns: COLUMNS,
      key: (row) => row.id,
      nothing: "Nobody is suspended, banned, exempt or slowed down.",
      sorted: [5, -1],
      actions: (row) => [this._liftButton(row)],
    });
    this._polling = new Polling(
      () => `v1/refusals?${new URLSearchParams({ limit: String(MOST_ROWS), text: this._text })}`,
      (body) => this._read(body),
    );
    this._slowDownsPolling = new Polling("v1/slow-downs", (body) => this._readSlowDowns(body.slow_downs));
    const refresh = () => this._polling.now();
    byId("refusals").append(
      element(
        "p",
        { class: "muted" },
        "A suspended user gets the reason only with the right password, and mail still arrives. Bans concern POP3 alone; an exemption wins over any ban. Wrong passwords slow down strangers, and never ban anybody.",
      ),
      element(
        "div",
        { class: "toolbar" },
        this._find.root,
        button("Suspend a user", async () => (await askForSuspension()) && refresh(), { needs: "helpdesk" }),
        button("Ban a network", async () => (await askForNetwork("ban")) && refresh(), { needs: "all" }),
        button("Exempt a network", async () => (await askForNetwork("exempt")) && refresh(), { needs: "all" }),
        this._summary,
      ),
      this._table.root,
      this._logins,
      this._more,
    );
  }

  get _text() {
    return this._find.value.trim();
  }

  show() {
    this._polling.start();
    this._slowDownsPolling.start();
  }

  hide() {
    this._forgetTyped();
    this._polling.stop();
    this._slowDownsPolling.stop();
  }

  /** @param {{refusals: Refusal[], next: string | null, counts: {suspended: number, banned: number, exempt: number}}} body */
  _read(body) {
    this._refusals = body.refusals.map((one) => ({ ...one, isAdministrator: false, path: pathOf(one) }));
    this._counts = body.counts;
    this._hasMore = body.next !== null;
    this._render();
  }

  /** @param {SlowDown[]} slowDowns */
  _readSlowDowns(slowDowns) {
    this._slowDowns = slowDowns.map((one) => ({
      id: one.id,
      kind: "slow-down",
      subject: whose(one),
      isAdministrator: one.is_administrator,
      until: one.until,
      since: one.since,
      by: "",
      reason: `wrong passwords: ${counted(one.attempts, "attempt")} had to wait`,
      path: `v1/slow-downs/${segment(one.id)}`,
    }));
    this._render();
  }

  _render() {
    const text = this._text.toLowerCase();
    const slowed = this._slowDowns.filter((row) => row.subject.toLowerCase().includes(text));
    this._table.render([...this._refusals, ...slowed], text ? "No refusal matches the filter." : undefined);
    this._more.hidden = !this._hasMore;
    const { suspended, banned, exempt } = this._counts;
    const slow = counted(this._slowDowns.length, "slow-down");
    setText(this._summary, `${count(suspended)} suspended, ${count(banned)} banned, ${count(exempt)} exempt, ${slow}`);
  }

  /** @param {() => Row} row */
  _liftButton(row) {
    const needs = row().kind === "suspend" || row().kind === "slow-down" ? "helpdesk" : "all";
    return button("Lift", () => this._lift(row()), { kind: "small", needs, name: `Lift the ${named(row())}` });
  }

  /** @param {Row} row */
  async _lift(row) {
    const isSlowDown = row.kind === "slow-down";
    await askToDelete({
      title: `Lift the ${named(row)}?`,
      paragraphs: [KINDS[row.kind].after],
      action: "Lift",
      path: row.path,
      goneKind: isSlowDown ? "unknown-slow-down" : "unknown-refusal",
      done: `The ${named(row)} is lifted`,
      reload: () => (isSlowDown ? this._slowDownsPolling : this._polling).now(),
      table: this._table.root,
    });
  }
}

/** @param {Refusal} one */
function pathOf(one) {
  // The help desk may lift suspensions, and no bans.
  return one.kind === "suspend" ? `v1/users/${segment(one.subject)}/suspension` : `v1/refusals/${segment(one.id)}`;
}

/** @param {Row} row */
function named(row) {
  return `${KINDS[row.kind].thing} ${row.subject}`;
}

/** @param {Row} row */
function subject(row) {
  if (!row.isAdministrator) return row.subject;
  return element("span", {}, row.subject, " ", element("span", { class: "badge" }, "administrator"));
}

/** @param {Row} row */
function until(row) {
  if (row.until === null) return "no end";
  const seconds = (Date.parse(row.until) - Date.now()) / 1000;
  return seconds < 86400 ? `in ${duration(seconds)}` : momentOf(new Date(row.until));
}

/** @param {SlowDown} one @returns {string} such as "of alice from 192.0.2.7" */
function whose(one) {
  const of = one.username === null ? "" : `of ${visible(one.username)}`;
  const from = one.network === null ? "" : `from ${one.network}`;
  return [of, from].filter(Boolean).join(" ");
}
