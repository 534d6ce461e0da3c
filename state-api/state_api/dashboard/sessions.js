/** The open POP3 connections, and buttons that close one or all that are found. */

import { segment } from "./api.js";
import { ask, askToDelete, deleteUnlessGone } from "./dialogs.js";
import { announce, button, byId, element, setText } from "./dom.js";
import { Field } from "./forms.js";
import { isIn, networkOf } from "./networks.js";
import { Polling } from "./polling.js";
import { may } from "./roles.js";
import { Table } from "./tables.js";
import { count, counted, duration, octets, secondsOf, someOf } from "./units.js";

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
 * @property {number | null} idle_seconds null of a process that does not tell it
 * @property {number} rate octets a second since the reading before; this page adds it
 */

const ROWS_OF_A_PAGE = 100;
const NOBODY = "(not logged in)";

/** Sessions that are closed at one time: each takes a connection to the server until its end. */
const AT_ONCE = 4;

/** @type {import("./tables.js").Column<Session>[]} */
const COLUMNS = [
  { label: "User", className: "name-cell", show: who, order: (row) => row.username ?? "" },
  { label: "Address", className: "wide-cell", show: (row) => row.address, order: (row) => row.address },
  { label: "TLS", show: encryption, order: (row) => row.tls ?? "" },
  { label: "Open for", className: "numeric", show: (row) => duration(row.seconds), order: (row) => row.seconds },
  { label: "Idle", className: "numeric", show: idle, order: (row) => row.idle_seconds ?? -1, title: "For how long it has neither sent nor taken anything" },
  { label: "Sent", className: "numeric", show: (row) => octets(row.octets), order: (row) => row.octets, title: "Octets of replies" },
  { label: "Now", className: "numeric", show: (row) => (row.rate ? `${octets(row.rate)}/s` : ""), order: (row) => row.rate, title: "Octets a second that are sent now; empty if none" },
  { label: "Fetched", className: "numeric", show: (row) => count(row.retrieved), order: (row) => row.retrieved, title: "Messages fetched with RETR" },
  { label: "Marked", className: "numeric", show: (row) => count(row.marked), order: (row) => row.marked, title: "Messages marked as deleted" },
  { label: "Session", show: (row) => element("code", {}, row.id), order: (row) => row.id },
];

/** By what sessions are filtered: whether a row fits the text; null where the text is none of the kind.
 *  @type {Record<string, (text: string) => ((row: Session) => boolean) | null>} */
const FITS = {
  any: (text) => {
    // No name has a slash in it.
    const network = text.includes("/") && networkOf(text);
    if (network) return (row) => isIn(row.address, network);
    return (row) => [name(row), row.address, row.id].some((one) => one.toLowerCase().includes(text.toLowerCase()));
  },
  user: (text) => (row) => row.username === text,
  network: (text) => {
    const network = networkOf(text);
    return network && ((row) => isIn(row.address, network));
  },
  idle: (text) => {
    const seconds = secondsOf(text);
    return seconds === null ? null : (row) => (row.idle_seconds ?? -1) >= seconds;
  },
};

/** What is said of a text that is none of the kind. @type {Record<string, string>} */
const WRONG = { network: "This is no address and no network: give 192.0.2.7 or 192.0.2.0/24.", idle: "This is no time: give 45s, 10m or 2h." };

export class Sessions {
  constructor() {
    this._filter = new Field({ name: "filter", label: "Filter", type: "search" });
    this._kind = new Field({
      name: "kind",
      label: "By",
      choices: [["any", "user, address, session or network"], ["user", "one user, exactly"], ["network", "an address or a network"], ["idle", "idle for so long at least, as 10m"]],
    });
    for (const field of [this._filter, this._kind]) {
      field.input.addEventListener("input", () => {
        this._table.turnTo(0);
        this._render();
      });
    }
    this._closeAll = button("", () => this._askToCloseAll(), { kind: "danger", needs: "helpdesk" });
    this._summary = element("p", { class: "summary muted" });
    this._table = new Table({
      caption: "Open POP3 connections",
      columns: COLUMNS,
      key: (row) => row.id,
      nothing: "No POP3 connection is open.",
      sorted: [3, -1],
      most: ROWS_OF_A_PAGE,
      actions: (row) => [this._closeButton(row)],
    });
    /** @type {Session[]} */
    this._sessions = [];
    this._readAt = 0;
    this._polling = new Polling("v1/sessions", (body) => this._take(body.sessions));
    const toolbar = element("div", { class: "toolbar" }, this._filter.root, this._kind.root, this._closeAll, this._summary);
    byId("sessions").append(
      element("p", { class: "muted" }, "Each open POP3 connection, logged in or not. A client whose session is closed can log in again at once, unless suspended or banned."),
      toolbar,
      this._table.root,
    );
    this._closeAll.hidden = true;
  }

  show() {
    this._polling.start();
  }

  hide() {
    this._polling.stop();
  }

  /** @param {Session[]} sessions */
  _take(sessions) {
    const now = performance.now();
    const before = new Map(this._sessions.map((row) => [row.id, row.octets]));
    const seconds = (now - this._readAt) / 1000;
    for (const row of sessions) row.rate = Math.max(0, row.octets - (before.get(row.id) ?? row.octets)) / seconds;
    this._sessions = sessions;
    this._readAt = now;
    this._render();
  }

  _render() {
    const wanted = this._filter.value.trim();
    const found = this._found();
    this._table.render(found, wanted ? "No session fits the filter." : undefined);
    this._closeAll.hidden = wanted === "" || found.length === 0;
    setText(this._closeAll, `Close ${counted(found.length, "session")}`);
    setText(this._summary, summary(found, wanted ? this._sessions.length : undefined));
  }

  /** @returns {Session[]} that fit the filter */
  _found() {
    const wanted = this._filter.value.trim();
    const fits = wanted ? FITS[this._kind.value](wanted) : () => true;
    if (fits) this._filter.clearError();
    else this._filter.setError(WRONG[this._kind.value]);
    return fits ? this._sessions.filter(fits) : [];
  }

  async _askToCloseAll() {
    // The question is about those that are there now.
    await this._polling.now();
    const sessions = this._found();
    const marked = sum(sessions, (row) => row.marked);
    const many = counted(sessions.length, "session");
    if (sessions.length === 0) return;
    const isDone = await ask({
      title: `Close ${many}?`,
      paragraphs: [
        `Of ${someOf(sessions.map(name))}, from ${someOf(sessions.map((row) => row.address))}.`,
        `${sessions.length === 1 ? "The client is" : "The clients are"} cut off, whatever is under way. ${marked ? willStay(marked) : "Nothing is removed from a maildrop."}`,
        "Sessions that begin meanwhile stay open: to keep them away, suspend the user or ban the network first.",
      ],
      action: `Close ${many}`,
      isDangerous: true,
      run: (report) => closeAll(sessions, report),
    });
    if (isDone) announce(`${many} closed`);
    await this._polling.now();
    if (document.activeElement === document.body) this._table.root.focus();
  }

  /** @param {() => Session} row */
  _closeButton(row) {
    const label = `Close the session of ${name(row())} from ${row().address}`;
    return button("Close", () => this._close(row()), { kind: "small danger", needs: "helpdesk", name: label });
  }

  /** @param {Session} session */
  async _close(session) {
    const marked = session.marked ? willStay(session.marked) : "Nothing is removed from the maildrop.";
    await askToClose(session, marked, { reload: () => this._polling.now(), table: this._table.root });
  }
}

/**
 * @param {Session} session
 * @param {string} marked what becomes of the messages that are marked as deleted
 * @param {Pick<import("./dialogs.js").Deletion, "reload" | "table">} shown
 */
export async function askToClose(session, marked, shown) {
  await askToDelete({
    title: `Close the session of ${name(session)}?`,
    paragraphs: [`The client at ${session.address} is cut off, whatever is under way. ${marked}`],
    action: "Close session",
    isDangerous: true,
    path: pathOf(session),
    goneKind: "unknown-session",
    done: `The session of ${name(session)} is closed`,
    ...shown,
  });
}

/**
 * @param {Session[]} sessions
 * @param {(text: string) => boolean} report tells how far it is, and answers whether to go on
 */
async function closeAll(sessions, report) {
  const rest = [...sessions];
  let closed = 0;
  const closeRest = async () => {
    for (let one = rest.shift(); one; one = rest.shift()) {
      try {
        await deleteUnlessGone(pathOf(one), "unknown-session");
      } catch (error) {
        rest.length = 0;
        throw error;
      }
      closed += 1;
      if (!report(`${count(closed)} of ${count(sessions.length)} closed`)) rest.length = 0;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, closeRest));
}

/** @param {Session[]} found @param {number} [all] how many there are, where a filter has left some out */
function summary(found, all) {
  const loggedIn = found.filter((row) => row.username !== null).length;
  const of = all === undefined ? "" : ` of ${count(all)}`;
  const sent = octets(sum(found, (row) => row.octets));
  const fetched = counted(sum(found, (row) => row.retrieved), "message");
  return `${count(found.length)}${of} ${(all ?? found.length) === 1 ? "session" : "sessions"}, ${count(loggedIn)} logged in, ${sent} sent, ${fetched} fetched`;
}

/** @param {Session[]} sessions @param {(row: Session) => number} figure */
function sum(sessions, figure) {
  return sessions.reduce((all, row) => all + figure(row), 0);
}

/** @param {number} marked */
function willStay(marked) {
  return `${counted(marked, "message")} marked as deleted will stay: only QUIT removes what is marked.`;
}

/** @param {Session} session */
function pathOf(session) {
  return `v1/sessions/${segment(session.id)}`;
}

/** @param {Session} session */
function name(session) {
  return session.username ?? NOBODY;
}

/** @param {Session} session */
function who({ username }) {
  if (username === null || !may("helpdesk")) return username ?? NOBODY;
  return element("a", { href: `#user/${segment(username)}` }, username);
}

/** @param {Session} session */
function idle({ idle_seconds: seconds }) {
  return seconds === null ? "–" : duration(seconds);
}

/** @param {Session} session */
function encryption(session) {
  if (!session.tls) return element("span", { class: "badge" }, "none");
  return element("span", { class: "badge good" }, session.tls.replace("TLSv", "TLS "));
}
