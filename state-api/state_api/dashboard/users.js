/** The POP3 users: find, add, give a new password, remove. */

import { get, Problem, request, segment } from "./api.js";
import { ask, askToDelete } from "./dialogs.js";
import { announce, byId, element, setText } from "./dom.js";
import { Field } from "./forms.js";
import { Table } from "./tables.js";
import { count } from "./units.js";

/** @typedef {{username: string}} User */

const PAGE = 50;
const TYPING = 200;

export class Users {
  constructor() {
    this._prefix = new Field({ name: "prefix", label: "Find", type: "search", attributes: { placeholder: "Beginning of a name" } });
    this._prefix.input.addEventListener("input", () => this._typed());
    this._table = new Table({
      caption: "POP3 users",
      columns: [{ label: "Name", className: "name-cell", show: (/** @type {User} */ row) => row.username }],
      key: (row) => row.username,
      nothing: "There are no users yet. Add one to let somebody fetch mail.",
      actions: (row) => this._actions(row),
    });
    /** Where the pages begin that lead to the one that is shown. @type {string[]} */
    this._starts = [""];
    /** @type {string | null} */
    this._next = null;
    this._requests = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._timer = undefined;
    this._previousButton = element("button", { type: "button", class: "button small", click: () => this._turn(-1) }, "Previous");
    this._nextButton = element("button", { type: "button", class: "button small", click: () => this._turn(1) }, "Next");
    this._place = element("p", { class: "muted", role: "status" });
    const add = element("button", { type: "button", class: "button primary", "data-needs": "all", click: () => this._add() }, "Add a user");
    this._imported = element("p", { class: "muted", id: "imported-hashes" });
    this._table.root.classList.add("narrow");
    byId("users").append(
      element("div", { class: "toolbar" }, this._prefix.root, add),
      this._table.root,
      element("nav", { class: "toolbar", "aria-label": "Pages of users" }, this._previousButton, this._nextButton, this._place),
      this._imported,
    );
  }

  show() {
    this._load();
  }

  hide() {
    clearTimeout(this._timer);
  }

  _typed() {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => {
      this._starts = [""];
      this._load();
    }, TYPING);
  }

  /** @param {1 | -1} direction */
  async _turn(direction) {
    if (direction > 0 && this._next !== null) this._starts.push(this._next);
    else if (direction < 0 && this._starts.length > 1) this._starts.pop();
    await this._load();
    this._table.root.focus();
    this._table.root.scrollIntoView({ block: "start" });
  }

  async _load() {
    this._requests += 1;
    const number = this._requests;
    const prefix = this._prefix.value.trim();
    const query = new URLSearchParams({ limit: String(PAGE) });
    const after = /** @type {string} */ (this._starts.at(-1));
    if (prefix) query.set("prefix", prefix);
    if (after) query.set("after", after);
    try {
      const [page, hashes] = await Promise.all([get(`v1/users?${query}`), get("v1/password-schemes")]);
      // The answer to an earlier request may come after that to a later one.
      if (number !== this._requests) return;
      this._render(page.users, page.next, prefix);
      setText(this._imported, importedText(hashes));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this._refuse(error);
    }
  }

  /** @param {User[]} users @param {string | null} next @param {string} prefix */
  _render(users, next, prefix) {
    this._next = next;
    this._prefix.clearError();
    this._table.render(users, prefix ? "No user's name begins with this." : undefined);
    this._previousButton.disabled = this._starts.length === 1;
    this._nextButton.disabled = next === null;
    const isAll = this._starts.length === 1 && next === null;
    setText(this._place, isAll ? "" : `Page ${this._starts.length}`);
    const pager = this._previousButton.parentElement;
    if (pager) pager.hidden = isAll;
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
    const change = { type: "button", class: "button small", "data-needs": "helpdesk", "aria-label": `New password for ${username}`, click: () => changePassword(username) };
    const remove = { type: "button", class: "button small danger", "data-needs": "all", "aria-label": `Remove ${username}`, click: () => this._remove(username) };
    return [element("button", change, "New password"), element("button", remove, "Remove")];
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
    await this._load();
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
      reload: () => this._load(),
      table: this._table.root,
    });
  }
}

/** @param {{users: number, imported: number, schemes: {scheme: string, users: number}[]}} hashes */
function importedText({ users, imported, schemes }) {
  if (imported === 0) return "";
  const each = schemes.map((one) => `${one.scheme} ${count(one.users)}`).join(", ");
  return `${count(imported)} of ${count(users)} users still have another server's password hash, until they log in: ${each}.`;
}

/** @param {string} username */
async function changePassword(username) {
  const password = newPasswordField();
  const isDone = await ask({
    title: `New password for ${username}`,
    paragraphs: ["The old one opens no session any more; those that are open go on."],
    fields: [password],
    action: "Change",
    run: async () => {
      await request("PUT", `v1/users/${segment(username)}/password`, { body: { password: password.value } });
    },
  });
  if (isDone) announce(`${username} has a new password`);
}

function newPasswordField() {
  return new Field({
    name: "password",
    label: "Password",
    type: "password",
    autocomplete: "new-password",
    hint: "Without spaces and beyond-ASCII characters it can be used over PEEP too.",
  });
}
