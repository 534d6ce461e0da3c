/** Who administers Peep: administrators, their roles, and API tokens. */

import { renewing, request, segment } from "./api.js";
import { ask, askToDelete, tell } from "./dialogs.js";
import { announce, button, byId, element, setText } from "./dom.js";
import { Field, fieldToCopy, wrong } from "./forms.js";
import { Polling } from "./polling.js";
import { ROLES } from "./roles.js";
import { Table } from "./tables.js";
import { ago } from "./units.js";

/** @typedef {import("./roles.js").Role} Role */
/** @typedef {{name: string, role: Role, is_from_settings: boolean}} Administrator */
/**
 * @typedef {object} Token
 * @property {string} name
 * @property {Role} role
 * @property {string[]} networks
 * @property {string | null} ends_at
 * @property {string} made_by
 * @property {string | null} used_at
 * @property {string | null} used_from
 */

const DAY = 24 * 60 * 60 * 1000;
const NAME_HINT = "Letters, digits and . _ @ + -; upper and lower case differ.";
const PASSWORD_HINT = "At least 8 characters of printable ASCII. Over PEEP it works only without a space.";

/** @type {Record<Role, string>} */
const ROLES_IN_WORDS = {
  read: "Sees everything but secrets.",
  helpdesk: "Changes passwords, suspensions and sessions of users too.",
  all: "Does everything, and signs in to PEEP too.",
};

export class Access {
  constructor() {
    this._administrators = new Table({
      caption: "Administrators",
      columns: [
        { label: "Name", className: "name-cell", show: (/** @type {Administrator} */ row) => row.name },
        { label: "Role", show: (row) => row.role },
        { label: "From", show: (row) => (row.is_from_settings ? "settings" : "here"), title: "Those from settings (PEEP_ADMINS) are changed there" },
      ],
      key: (row) => `${row.name} ${row.is_from_settings}`,
      nothing: "There are no administrators.",
      actions: (row) => (row().is_from_settings ? [] : this._administratorActions(row)),
    });
    this._tokens = new Table({
      caption: "API tokens",
      columns: [
        { label: "Name", className: "name-cell", show: (/** @type {Token} */ row) => row.name },
        { label: "Role", show: (row) => row.role },
        { label: "Networks", className: "wide-cell", show: (row) => row.networks.join(", ") || "any" },
        { label: "Ends", show: ends },
        { label: "Made by", show: (row) => row.made_by },
        { label: "Last used", className: "wide-cell", show: used },
      ],
      key: (row) => row.name,
      nothing: "There are no API tokens. Programs use one instead of a name and a password.",
      actions: (row) => [rowButton("Revoke", `Revoke the token ${row().name}`, () => this._revoke(row().name), "small danger")],
    });
    this._administratorsPolling = new Polling("v1/administrators", (body) => this._administrators.render(body.administrators));
    this._tokensPolling = new Polling("v1/tokens", (body) => this._showTokens(body.tokens));
    /** @type {Token[]} */
    this._known = [];
    byId("access").append(
      element(
        "div",
        { class: "toolbar" },
        button("Add an administrator", () => this._addAdministrator(), { kind: "primary", needs: "all" }),
        button("Change my password", () => changeOwnPassword()),
      ),
      this._administrators.root,
      element("h2", {}, "API tokens"),
      element("div", { class: "toolbar", "data-needs": "all" }, button("Make a token", () => this._makeToken(), { kind: "primary" })),
      this._tokens.root,
    );
  }

  show() {
    this._administratorsPolling.start();
    this._tokensPolling.start();
  }

  hide() {
    this._administratorsPolling.stop();
    this._tokensPolling.stop();
  }

  /** @param {Token[]} tokens */
  _showTokens(tokens) {
    this._known = tokens;
    this._tokens.render(tokens);
  }

  /** @param {() => Administrator} row */
  _administratorActions(row) {
    const { name } = row();
    return [
      rowButton("New password", `New password for ${name}`, () => this._changePassword(name)),
      rowButton("Role", `Another role for ${name}`, () => this._changeRole(row())),
      rowButton("Remove", `Remove ${name}`, () => this._remove(name), "small danger"),
    ];
  }

  async _addAdministrator() {
    const name = new Field({ name: "name", label: "Name", hint: NAME_HINT, attributes: { maxlength: 64 } });
    const password = newPassword();
    const role = roleField("read");
    const isDone = await ask({
      title: "Add an administrator",
      fields: [name, role, password],
      action: "Add",
      fieldOfKind: { "administrator-exists": "name" },
      run: async () => {
        await request("POST", "v1/administrators", { body: { name: name.value, password: password.value, role: role.value } });
      },
    });
    if (!isDone) return;
    announce(`${name.value} is an administrator now`);
    await this._administratorsPolling.now();
  }

  /** @param {string} name */
  async _changePassword(name) {
    const password = newPassword();
    const isDone = await ask({
      title: `New password for ${name}`,
      paragraphs: [`All sign-ins of ${name} end at once.`],
      fields: [password],
      action: "Change",
      run: async () => {
        await request("PUT", `v1/administrators/${segment(name)}/password`, { body: { password: password.value } });
      },
    });
    if (isDone) announce(`${name} has a new password`);
  }

  /** @param {Administrator} administrator */
  async _changeRole({ name, role: before }) {
    const role = roleField(before);
    const isDone = await ask({
      title: `Another role for ${name}`,
      paragraphs: [`All sign-ins of ${name} end at once.`],
      fields: [role],
      action: "Change",
      run: async () => {
        await request("PUT", `v1/administrators/${segment(name)}/role`, { body: { role: role.value } });
      },
    });
    if (!isDone) return;
    announce(`${name} has the role ${role.value} now`);
    await this._administratorsPolling.now();
  }

  /** @param {string} name */
  async _remove(name) {
    const made = this._known.filter((token) => token.made_by === name).map((token) => token.name);
    await askToDelete({
      title: `Remove the administrator ${name}?`,
      paragraphs: [
        `All sign-ins of ${name} end at once.`,
        ...(made.length > 0 ? [`API tokens that ${name} has made stay valid until they are revoked: ${made.join(", ")}.`] : []),
      ],
      action: "Remove",
      isDangerous: true,
      path: `v1/administrators/${segment(name)}`,
      goneKind: "unknown-administrator",
      done: `${name} is no administrator any more`,
      reload: () => this._administratorsPolling.now(),
      table: this._administrators.root,
    });
  }

  async _makeToken() {
    const name = new Field({ name: "name", label: "Name", hint: NAME_HINT, attributes: { maxlength: 64 } });
    const role = roleField("read");
    const networks = new Field({ name: "networks", label: "Networks", hint: "Where it may be used from, as 10.0.0.0/8, 192.0.2.7; empty: anywhere." });
    const days = new Field({ name: "ends_at", label: "Days", hint: "After so many days it expires; empty: never.", attributes: { inputmode: "numeric", maxlength: 5 } });
    /** @type {string} */
    let token = "";
    const isDone = await ask({
      title: "Make an API token",
      fields: [name, role, networks, days],
      action: "Make",
      fieldOfKind: { "token-exists": "name" },
      run: async () => {
        const body = {
          name: name.value,
          role: role.value,
          networks: networks.value.split(/[\s,]+/).filter(Boolean),
          ends_at: endAfter(days),
        };
        token = (await request("POST", "v1/tokens", { body })).body.token;
      },
    });
    if (!isDone) return;
    const shown = fieldToCopy({ name: "token", label: "Token", value: token });
    await Promise.all([
      this._tokensPolling.now(),
      tell({ title: `The token ${name.value}`, paragraphs: ["Copy it now: it is never shown again."], fields: [shown], action: "Done" }),
    ]);
  }

  /** @param {string} name */
  async _revoke(name) {
    await askToDelete({
      title: `Revoke the token ${name}?`,
      paragraphs: ["Programs that use it are refused from now on."],
      action: "Revoke",
      isDangerous: true,
      path: `v1/tokens/${segment(name)}`,
      goneKind: "unknown-token",
      done: `The token ${name} is revoked`,
      reload: () => this._tokensPolling.now(),
      table: this._tokens.root,
    });
  }
}

async function changeOwnPassword() {
  const current = new Field({ name: "current_password", label: "Present password", type: "password", autocomplete: "current-password" });
  const password = newPassword();
  const isDone = await ask({
    title: "Change my password",
    paragraphs: ["You stay signed in here; all your other sign-ins end."],
    fields: [current, password],
    action: "Change",
    run: () =>
      renewing(async () => {
        await request("PUT", "v1/own-password", { body: { current_password: current.value, password: password.value } });
        // It came with another cookie, which has another token.
        return (await request("GET", "session")).body.csrf_token;
      }),
  });
  if (isDone) announce("You have a new password");
}

/** @param {string} label @param {string} name @param {() => void} click @param {string} [kind] */
function rowButton(label, name, click, kind = "small") {
  return button(label, click, { kind, needs: "all", name });
}

function newPassword() {
  return new Field({ name: "password", label: "New password", type: "password", autocomplete: "new-password", hint: PASSWORD_HINT });
}

/** @param {Role} chosen */
function roleField(chosen) {
  const field = new Field({ name: "role", label: "Role", choices: ROLES.map((role) => [role, role]) });
  const explain = () => setText(field.note, ROLES_IN_WORDS[/** @type {Role} */ (field.value)]);
  field.input.addEventListener("input", explain);
  field.value = chosen;
  explain();
  return field;
}

/** @param {Field} days @returns {string | null} throws `Problem` where it is no number */
function endAfter(days) {
  const text = days.value.trim();
  if (text && !/^\d{1,5}$/.test(text)) throw wrong(days, "Give a number of days, or none");
  return text ? new Date(Date.now() + Number(text) * DAY).toISOString() : null;
}

/** @param {Token} row */
function ends({ ends_at: end }) {
  if (end === null) return "never";
  const moment = new Date(end);
  const day = moment.toLocaleDateString();
  return moment.getTime() > Date.now() ? day : element("span", { class: "badge" }, `ended ${day}`);
}

/** @param {Token} row */
function used({ used_at: at, used_from: from }) {
  return at === null ? "not yet" : `${ago(new Date(at))}, ${from}`;
}
