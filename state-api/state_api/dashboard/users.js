/** The POP3 users: find, add, give a new password, remove. */

import { get, Problem, request, segment } from "./api.js";
import { ask, askToDelete } from "./dialogs.js";
import { announce, button, byId, element, setText } from "./dom.js";
import { Field, whenTyped } from "./forms.js";
import { askForMany, madePassword } from "./many-users.js";
import { Pages } from "./pages.js";
import { askForSuspensions } from "./refusing.js";
import { may } from "./roles.js";
import { Table } from "./tables.js";
import { ago, count, counted, momentOf, octets } from "./units.js";

/**
 * @typedef {object} User
 * @property {string} username
 * @property {boolean} suspended
 * @property {string | null} last_login_at
 * @property {string | null} last_refusal_at
 * @property {string | null} last_refusal_reason
 * @property {{octets: number, messages: number}} today
 * @property {{octets: number, messages: number}} week
 * @property {number} maildrop_octets
 */

/** Why nothing is shown of anybody's logins and traffic. */
export const NO_RECORD = "Nothing is known of logins and traffic: no records are kept (PEEP_LOGIN_RECORDS=0), or nobody has logged in yet.";

const PAGE = 50;
const TYPING = 200;

/** What the server sorts each column by. */
const SORTS = ["name", "last_login", "last_refusal", "today", "week", "maildrop"];

/** @type {import("./tables.js").Column<User>[]} */
const COLUMNS = [
  { label: "Name", className: "name-cell", show: (row) => row.username },
  { label: "Last login", className: "numeric", show: (row) => when(row.last_login_at) },
  { label: "Last refusal", className: "numeric", show: refusal },
  { label: "Today", className: "numeric", show: (row) => octets(row.today.octets), title: "Octets sent today, in UTC" },
  { label: "7 days", className: "numeric", show: (row) => octets(row.week.octets), title: "Octets sent today and in the six days before" },
  { label: "Maildrop", className: "numeric", show: (row) => octets(row.maildrop_octets), title: "Octets of the maildrop at the last login" },
];

const REFUSED_LATELY = "refused_days=1";
const NOT_LATELY = "not_since_days=90";
const SUSPENDED = "suspended=true";

/** So many does the server give at once. */
const MOST_AT_ONCE = 1000;

/** @type {[value: string, text: string][]} queries of the server, and what they mean */
const FILTERS = [
  ["", "All users"],
  [REFUSED_LATELY, "Refused within a day"],
  [NOT_LATELY, "No login in 90 days"],
  [SUSPENDED, "Suspended"],
];

export class Users {
  constructor() {
    this._prefix = new Field({ name: "prefix", label: "Find", type: "search", attributes: { placeholder: "Beginning of a name" } });
    this._filter = new Field({ name: "filter", label: "Show", choices: FILTERS });
    this._forgetTyped = whenTyped(
      [this._prefix],
      TYPING,
      () => this._pages.read(),
      () => this._pages.hold(),
    );
    this._filter.input.addEventListener("input", () => this._pages.begin());
    /** @type {[number, 1 | -1]} */
    this._sorted = [0, 1];
    this._table = new Table({
      caption: "POP3 users",
      columns: COLUMNS,
      key: (row) => row.username,
      nothing: "There are no users yet. Add one to let somebody fetch mail.",
      sorted: this._sorted,
      onSort: (column, direction) => {
        this._sorted = [column, direction];
        this._pages.begin();
      },
      actions: (row) => this._actions(row),
    });
    this._pages = new Pages("Pages of users", ["Previous", "Next"], this._table, () => this._load());
    this._requests = 0;
    this._about = "";
    const add = button("Add a user", () => this._add(), { kind: "primary", needs: "all" });
    const addMany = button("Add users from a file", () => this._addMany(), { needs: "all" });
    this._suspendAll = button("Suspend all of these", () => this._askToSuspendAll(), { kind: "danger", needs: "all" });
    this._suspendAll.hidden = true;
    this._known = element("p", { class: "muted" });
    this._imported = element("p", { class: "muted", id: "imported-hashes" });
    byId("users").append(
      element("div", { class: "toolbar" }, this._prefix.root, this._filter.root, add, addMany, this._suspendAll),
      this._known,
      this._table.root,
      this._pages.root,
      this._imported,
    );
  }

  /** @param {string} about "refused" for those who were refused lately */
  show(about) {
    const isAsked = about === "refused" && this._about !== about;
    this._about = about;
    if (isAsked) this._filter.value = REFUSED_LATELY;
    if (isAsked) this._pages.begin();
    else this._pages.read();
  }

  hide() {
    this._forgetTyped();
  }

  async _load() {
    this._requests += 1;
    const number = this._requests;
    const prefix = this._prefix.value.trim();
    const query = this._query(prefix);
    try {
      const [page, hashes] = await Promise.all([get(`v1/users?${query}`), get("v1/password-schemes")]);
      // The answer to an earlier request may come after that to a later one.
      if (number !== this._requests) return;
      const shown = Number(query.get("offset")) + page.users.length;
      const next = page.total === null || shown >= page.total ? page.next : String(shown);
      this._render(page.users, next, Boolean(prefix || this._filter.value));
      // Without any record everybody looks as if they never came.
      this._suspendAll.hidden = !(this._filter.value && this._filter.value !== SUSPENDED && page.total && page.recorded_since);
      setText(this._known, knownText(page, this._filter.value));
      setText(this._imported, importedText(hashes));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (number !== this._requests) return;
      this._pages.stay();
      this._refuse(error);
    }
  }

  /** By name and unfiltered the server answers with what is there now, else with what was some seconds ago.
   *  @param {string} prefix */
  _query(prefix) {
    const query = new URLSearchParams(this._filter.value);
    const [column, direction] = this._sorted;
    const { start } = this._pages;
    const isByName = column === 0 && direction === 1 && !this._filter.value;
    query.set("limit", String(PAGE));
    if (!isByName) {
      query.set("sort", SORTS[column]);
      query.set("descending", String(direction < 0));
    }
    if (prefix) query.set(isByName ? "prefix" : "search", prefix);
    if (start) query.set(isByName ? "after" : "offset", start);
    return query;
  }

  /** @param {User[]} users @param {string | null} next @param {boolean} isSome */
  _render(users, next, isSome) {
    this._prefix.clearError();
    this._table.render(users, isSome ? "No user matches." : undefined);
    this._pages.root.hidden = this._pages.start === "" && next === null;
    this._pages.show(next, !this._pages.root.hidden);
  }

  /** @param {Problem} problem */
  _refuse(problem) {
    const error = problem.errors.find((one) => one.field === "prefix");
    if (error) this._prefix.setError(error.message);
    else if (problem.kind !== "store-unavailable") announce(problem.message);
  }

  /** @param {() => User} row */
  _actions(row) {
    const { username } = row();
    const details = { class: "button small", "data-needs": "helpdesk", "aria-label": `Details of ${username}`, href: `#user/${segment(username)}` };
    return [
      element("a", details, "Details"),
      button("New password", () => changePassword(username), { kind: "small", needs: "helpdesk", name: `New password for ${username}` }),
      button("Remove", () => this._remove(username), { kind: "small danger", needs: "all", name: `Remove ${username}` }),
    ];
  }

  async _add() {
    const username = new Field({ name: "username", label: "Name", hint: "Printable ASCII without spaces and /; upper and lower case differ.", attributes: { maxlength: 128 } });
    const password = newPasswordField();
    const isDone = await ask({
      title: "Add a user",
      fields: [username, password],
      action: "Add",
      fieldOfKind: { "user-exists": "username" },
      run: async () => {
        await request("POST", "v1/users", { body: { username: username.value, password: password.value } });
      },
    });
    if (!isDone) return;
    announce(`${username.value} is added`);
    await this._pages.read();
  }

  async _askToSuspendAll() {
    const query = this._query(this._prefix.value.trim());
    query.set("limit", String(MOST_AT_ONCE));
    /** @type {User[]} */
    const found = [];
    try {
      for (let total = 1; found.length < total; ) {
        query.set("offset", String(found.length));
        const page = await get(`v1/users?${query}`);
        found.push(...page.users);
        total = page.users.length ? page.total : 0;
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this._refuse(error);
      return;
    }
    // Who is suspended already keeps the reason.
    const names = found.filter((row) => !row.suspended).map((row) => row.username);
    if (!names.length) announce("All of them are suspended already");
    else if (await askForSuspensions(names)) await this._pages.read();
  }

  async _addMany() {
    if (await askForMany()) await this._pages.read();
  }

  /** @param {string} username */
  async _remove(username) {
    await askToDelete({
      title: `Remove ${username}?`,
      paragraphs: [
        `${username} can no longer log in; a session that is open goes on to its end.`,
        "The mail stays where it is: whoever adds this name again gets it back.",
      ],
      action: "Remove",
      isDangerous: true,
      path: `v1/users/${segment(username)}`,
      goneKind: "unknown-user",
      done: `${username} is removed; the mail stays`,
      reload: () => this._pages.read(),
      table: this._table.root,
    });
  }
}

/** @param {string | null} moment */
function when(moment) {
  return moment ? ago(new Date(moment)) : "–";
}

/** @param {User} row */
function refusal({ username, suspended, last_refusal_at: at, last_refusal_reason: reason }) {
  if (!suspended && !at) return when(at);
  const badge = suspended && element("span", { class: "badge" }, "suspended");
  const why = reason && !(suspended && reason === "suspended") && element("span", { class: "why" }, reason);
  const known = [badge, badge && " ", at && element("span", { class: "when" }, why ? `${when(at)},` : when(at)), " ", why];
  if (!may("helpdesk")) return element("span", { class: "refusal" }, ...known);
  const more = element("span", { class: "visually-hidden" }, `, details of why ${username} was refused`);
  return element("a", { class: "refusal", href: `#user/${segment(username)}`, title: "Details" }, ...known, more);
}

/** @param {{users: number, imported: number, schemes: {scheme: string, users: number}[]}} hashes */
function importedText({ users, imported, schemes }) {
  if (imported === 0) return "";
  const each = schemes.map((one) => `${one.scheme} ${count(one.users)}`).join(", ");
  return `${count(imported)} of ${count(users)} users still have another server's password hash, until they log in: ${each}.`;
}

/** @param {{recorded_since: string | null, refused_unknown_names: number | null}} page @param {string} filter */
function knownText({ recorded_since: since, refused_unknown_names: unknown }, filter) {
  if (!since) return NO_RECORD;
  if (unknown) return `And ${counted(unknown, "refused login")} under names that nobody has; the log has each.`;
  return filter === NOT_LATELY ? `Logins are known since ${momentOf(new Date(since))}.` : "";
}

/** @param {string} username */
export async function changePassword(username) {
  const password = newPasswordField();
  const isDone = await ask({
    title: `New password for ${username}`,
    paragraphs: ["The old one opens no session any more; open sessions go on."],
    fields: [password],
    action: "Change",
    run: async () => {
      await request("PUT", `v1/users/${segment(username)}/password`, { body: { password: password.value } });
    },
  });
  if (isDone) announce(`${username} has a new password`);
}

/** A field whose button fills it with a password that nobody has to think of. */
function newPasswordField() {
  const field = new Field({
    name: "password",
    label: "Password",
    type: "password",
    autocomplete: "new-password",
    hint: "Over PEEP it works only in printable ASCII without spaces.",
  });
  const make = () => {
    field.value = madePassword();
    field.clearError();
    // Whoever makes one has to pass it on.
    /** @type {HTMLElement | null} */ (field.root.querySelector("[aria-pressed=false]"))?.click();
  };
  field.input.after(button("Make one", make, { kind: "small", name: "Make a password" }));
  return field;
}
