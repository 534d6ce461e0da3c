/** One user: why logins were refused and what to do, the session that is open, and figures. */

import { segment } from "./api.js";
import { askToDelete } from "./dialogs.js";
import { button, byId, element, fill, refill, setText } from "./dom.js";
import { EVERY, Polling } from "./polling.js";
import { askForSuspension } from "./refusing.js";
import { askToClose } from "./sessions.js";
import { ago, count, counted, duration, momentOf, octets, visible, withMoments } from "./units.js";
import { changePassword, NO_RECORD } from "./users.js";

/** @typedef {{at: string, address: string | null, tls: string | null, mechanism: string | null}} Origin */
/** @typedef {Origin & {messages: number, octets: number}} Login */
/** @typedef {Origin & {reason: string, count: number, detail: string | null, advice: string}} Refusal */
/** @typedef {{octets: number, messages: number}} Traffic */

/**
 * @typedef {object} User
 * @property {string} username
 * @property {{reason: string, since: string, until: string | null, by: string} | null} suspension
 * @property {string} password_scheme
 * @property {Login | null} last_login
 * @property {Refusal[]} refusals
 * @property {Traffic} today
 * @property {Traffic} week
 * @property {Traffic} month
 * @property {import("./sessions.js").Session | null} session
 * @property {string | null} recorded_since
 */

/** @type {{kind: string, needs: import("./roles.js").Role}} */
const SMALL = { kind: "small", needs: "helpdesk" };

export class UserPage {
  constructor() {
    this._username = "";
    this._shown = "";
    this._polling = new Polling(
      () => `v1/users/${segment(this._username)}`,
      (user) => this._render(user),
      EVERY,
      (problem) => this._fail(problem),
    );
    this._refusals = element("div", { class: "refusals" });
    this._where = element("p");
    this._close = button("Close session", () => this._askToClose(), { kind: "small danger", needs: "helpdesk" });
    this._session = element("div", {}, this._where);
    /** @type {import("./sessions.js").Session | null} */
    this._open = null;
    this._facts = element("dl", { class: "facts" });
    this._change = button("New password", () => changePassword(this._username), SMALL);
    this._suspend = button("Suspend", () => this._askForSuspension(), SMALL);
    this._lift = button("Lift the suspension", () => this._askToLift(), SMALL);
    /** Why there is nothing to be seen of the user. */
    this._missing = element("p", { class: "message bad", role: "alert" });
    this._cards = [
      card("user-refusals", "Refused logins", this._refusals),
      card("user-session", "Open session", this._session),
      card("user-facts", "Figures", this._facts),
    ];
    byId("user").append(
      element("div", { class: "toolbar" }, element("a", { href: "#users" }, "All users"), this._change, this._suspend, this._lift),
      this._missing,
      ...this._cards,
    );
  }

  /** @param {string} about the user's name as the address has it */
  show(about) {
    this._username = nameIn(about);
    setText(byId("user-title"), this._username);
    if (this._shown !== this._username) {
      this._shown = "";
      for (const part of [this._refusals, this._facts]) fill(part);
      setText(this._where, "");
      this._close.remove();
      for (const part of [this._suspend, this._lift]) part.hidden = true;
      this._showMissing("");
    }
    this._polling.start();
  }

  hide() {
    this._polling.stop();
  }

  /** @param {User} user */
  _render(user) {
    this._shown = this._username;
    this._showMissing("");
    this._suspend.hidden = user.suspension !== null;
    this._lift.hidden = user.suspension === null;
    refill(this._refusals, ...refusals(user));
    refill(this._facts, ...facts(user));
    this._showSession(user.session);
  }

  /** @param {import("./api.js").Problem} problem */
  _fail({ status, message }) {
    // All else is shown at the top of the page, and goes by.
    if (![403, 404, 422].includes(status)) return;
    this._polling.stop();
    this._shown = "";
    this._showMissing(status === 403 ? message : `There is no such user: ${visible(this._username)}`);
  }

  /** @param {string} why empty where the user is there */
  _showMissing(why) {
    setText(this._missing, why);
    for (const one of [...this._cards, this._change]) one.hidden = why !== "";
    if (why) for (const one of [this._suspend, this._lift]) one.hidden = true;
  }

  async _askForSuspension() {
    if (!(await askForSuspension(this._username))) return;
    await this._polling.now();
    this._lift.focus();
  }

  async _askToLift() {
    await askToDelete({
      title: `Lift the suspension of ${this._username}?`,
      paragraphs: ["The user can log in at once."],
      action: "Lift",
      path: `v1/users/${segment(this._username)}/suspension`,
      goneKind: "unknown-refusal",
      done: `The suspension of ${this._username} is lifted`,
      reload: () => this._polling.now(),
      table: byId("user-title"),
    });
  }

  /** @param {import("./sessions.js").Session | null} session */
  _showSession(session) {
    this._open = session;
    setText(this._where, session ? whereabouts(session) : "None.");
    this._where.classList.toggle("muted", session === null);
    if (session === null) this._close.remove();
    // Put there anew it would lose the focus, and a click that is under way.
    else if (!this._close.isConnected) this._session.append(this._close);
  }

  async _askToClose() {
    const marked = "What it has marked as deleted stays.";
    if (this._open) await askToClose(this._open, marked, { reload: () => this._polling.now(), table: byId("user-title") });
  }
}

/** @param {import("./sessions.js").Session} session */
function whereabouts({ address, tls, seconds, octets: sent }) {
  return `From ${address}, ${tls ?? "without TLS"}, open for ${duration(seconds)}, ${octets(sent)} sent.`;
}

/** @param {string} id @param {string} title @param {HTMLElement} content */
function card(id, title, content) {
  return element("section", { class: "card live", "aria-labelledby": id }, element("h2", { id }, title), content);
}

/** @param {string} about @returns {string} */
function nameIn(about) {
  try {
    return decodeURIComponent(about);
  } catch {
    return about;
  }
}

/** @param {User} user */
function refusals(user) {
  const shown = user.refusals.map(refusal);
  if (user.suspension) shown.unshift(suspended(user.suspension));
  return shown.length ? shown : [element("p", { class: "muted" }, "No refused login is known.")];
}

/** @param {NonNullable<User["suspension"]>} suspension */
function suspended({ reason, by, until }) {
  const end = until ? `until ${momentOf(new Date(until))}` : "until it is lifted";
  return element("article", {}, element("h3", {}, "Suspended"), element("p", {}, `By ${by}, ${end}: ${reason}`));
}

/** @param {Refusal} one */
function refusal(one) {
  const since = one.count ? `${counted(one.count, "time")} since the last login` : "not since the last login";
  return element(
    "article",
    {},
    element("h3", {}, `${one.reason[0].toUpperCase()}${one.reason.slice(1)}`),
    element("p", {}, `${since}; the last one ${ago(new Date(one.at))}${origin(one)}.`),
    one.detail && element("p", {}, withMoments(one.detail)),
    element("p", { class: "muted" }, one.advice),
  );
}

/** @param {User} user */
function facts(user) {
  const { last_login: login, recorded_since: since } = user;
  const never = since ? `None since ${momentOf(new Date(since))}` : NO_RECORD;
  /** @type {[string, string][]} */
  const rows = [
    ["Last login", login ? `${ago(new Date(login.at))}${origin(login)}` : never],
    ["Maildrop then", login ? `${counted(login.messages, "message")}, ${octets(login.octets)}` : "–"],
    ["Today (UTC)", since ? traffic(user.today) : "–"],
    ["7 days", since ? traffic(user.week) : "–"],
    ["This month", since ? traffic(user.month) : "–"],
    ["Password", user.password_scheme],
  ];
  return rows.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]);
}

/** @param {Traffic} one */
function traffic(one) {
  return `${count(one.messages)} fetched, ${octets(one.octets)} sent`;
}

/** @param {Origin} one @returns {string} such as ", from 192.0.2.7 by PLAIN without TLS" */
function origin({ address, tls, mechanism }) {
  if (!address) return "";
  return `, from ${address}${mechanism ? ` by ${mechanism}, ${tls ?? "without TLS"}` : ""}`;
}
