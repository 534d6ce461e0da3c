/** The settings: a form that loses neither what was typed nor what somebody else has changed. */

import { Problem, request } from "./api.js";
import { requestIfMeant } from "./dialogs.js";
import { announce, button, byId, element, fill, setText } from "./dom.js";
import { Field, FieldSet } from "./forms.js";
import { may } from "./roles.js";
import { count, duration, secondOf } from "./units.js";

/** @typedef {import("./live.js").Live} Live */
/** @typedef {Record<string, string>} Values settings by name, each as its input shows it */

/** @typedef {{name: string, label: string, subject: string, hint: string, isNumber: boolean, show: (value: string) => string}} Setting */

/** @type {Setting[]} */
export const SETTINGS = [
  {
    name: "max_connections",
    label: "Connection limit",
    subject: "The connection limit",
    hint: "POP3 connections at one time, over all instances: 1 to 1,000,000.",
    isNumber: true,
    show: (value) => count(Number(value)),
  },
  {
    name: "timeout_seconds",
    label: "Timeout in seconds",
    subject: "The timeout",
    hint: "A connection without a command for so long is closed: up to 86,400; 0 for no limit. It applies to open sessions at once.",
    isNumber: true,
    show: (value) => (value === "0" ? "off" : duration(Number(value))),
  },
  {
    name: "mail_directory",
    label: "Mail directory",
    subject: "The mail directory",
    hint: "An absolute path that every POP3 instance can use. Open sessions keep the one that they began with.",
    isNumber: false,
    show: (value) => value,
  },
];

/** @param {string} name @returns {Setting | undefined} */
export function settingOf(name) {
  return SETTINGS.find((setting) => setting.name === name);
}

/** Settings that this page changes, and announces itself. @type {Set<string>} */
const announced = new Set();

/**
 * Change settings that the caller announces itself, where that works.
 * @template Answer
 * @param {string[]} names
 * @param {() => Promise<Answer>} change
 * @returns {Promise<Answer>}
 */
export async function announcing(names, change) {
  for (const name of names) announced.add(name);
  try {
    return await change();
  } catch (error) {
    for (const name of names) announced.delete(name);
    throw error;
  }
}

/** @param {string} name @returns {boolean} whether the change that is told now is announced by who makes it */
export function isAnnounced(name) {
  return announced.delete(name);
}

export class SettingsForm {
  /** @param {Live} live */
  constructor(live) {
    this._fields = SETTINGS.map(
      ({ name, label, hint, isNumber }) =>
        new Field({ name, label, hint, attributes: isNumber ? { inputmode: "numeric", maxlength: 20 } : { maxlength: 200 } }),
    );
    this._set = new FieldSet(this._fields);
    /** What the server had when the form was filled, and its version. @type {Values} */
    this._known = {};
    this._etag = "";
    /** What was before the last change that this page knows of, and when that was. @type {Record<string, {value: string, until: Date}>} */
    this._before = {};
    this._note = element("div", { class: "message note", role: "alert" });
    this._save = element("button", { type: "submit", class: "button primary", "data-needs": "all" }, "Save");
    this._reset = button("Undo what I typed", () => this._showKnown(), { needs: "all" });
    const form = element(
      "form",
      { class: "card form-card live", novalidate: true, "aria-labelledby": "settings-title" },
      element("p", { class: "muted" }, "A change applies to every POP3 process within a second. ", element("a", { href: "#audit/settings" }, "Who changed what"), " is in the audit, where it can be undone."),
      element("p", { class: "muted", "data-lacks": "all" }, "Only administrators with the role all change settings."),
      this._set.root,
      this._note,
      element("div", { class: "actions" }, this._save, this._reset),
    );
    form.addEventListener("input", () => this._mark());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this._submit();
    });
    byId("settings").append(form);
    // A form that nobody has typed into shows the change at once. Else `_showLostUpdate` shows it.
    live.addEventListener("setting", () => this._isShown && this._changed().length === 0 && this._load());
    this._isShown = false;
    this._mark();
  }

  show() {
    this._isShown = true;
    if (this._changed().length === 0) this._load();
    else this._set.clearErrors();
  }

  hide() {
    this._isShown = false;
  }

  async _load() {
    try {
      const { body, etag } = await request("GET", "v1/settings");
      // Somebody has begun to type meanwhile.
      if (this._changed().length > 0) return;
      this._know(body, etag);
      this._showKnown();
    } catch (error) {
      this._set.showProblem(error);
    }
  }

  async _submit() {
    const changed = this._changed();
    if (changed.length === 0 || this._save.disabled) return;
    this._set.clearErrors();
    fill(this._note);
    this._save.disabled = true;
    try {
      const body = Object.fromEntries(changed.map((field) => [field.name, typed(field)]));
      const answer = await announcing(Object.keys(body), () => this._send(body));
      const before = this._known;
      this._know(answer.body, answer.etag);
      this._showKnown();
      const changes = differing(before, this._known).map(
        ({ name, subject, show }) => `${subject} is now ${show(this._known[name])} (before: ${show(before[name])}).`,
      );
      announce([...changes, "Every POP3 process applies it."].join(" "));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 412) await this._showLostUpdate();
      // Who answered that it is not meant knows why nothing is saved.
      else if (error.kind !== "needs-confirmation") this._set.showProblem(error, { "mail-directory-refused": "mail_directory" });
    } finally {
      this._mark();
    }
  }

  /** Save, after a question where the server wants one.
   *  @param {Record<string, string | number>} body */
  _send(body) {
    const changes = SETTINGS.filter(({ name }) => name in body).map(
      ({ name, subject, show }) => `${subject} would be ${show(String(body[name]))}, and is ${show(this._known[name])} now.`,
    );
    return requestIfMeant("PATCH", "v1/settings", { body, ifMatch: this._etag }, ({ errors }) => ({
      title: "Save this all the same?",
      paragraphs: [...errors.map((one) => `${one.message}.`), ...changes],
      action: "Save",
    }));
  }

  /** Somebody else was faster: show their changes, keep what was typed, and let the next save replace them. */
  async _showLostUpdate() {
    const before = this._known;
    try {
      const { body, etag } = await request("GET", "v1/settings");
      const wasTyped = new Set(this._changed());
      this._know(body, etag);
      for (const field of this._fields) if (!wasTyped.has(field)) field.value = this._known[field.name];
    } catch (error) {
      this._set.showProblem(error);
      return;
    }
    const differences = differing(before, this._known).map(({ name, subject, show }) =>
      element("li", {}, `${subject} was ${show(before[name])}, and is ${show(this._known[name])} now`),
    );
    fill(
      this._note,
      element("p", {}, "Nothing is saved yet: somebody else has changed the settings meanwhile. What you typed is kept; save again to put it on top."),
      differences.length > 0 && element("ul", {}, ...differences),
    );
  }

  /** @param {Record<string, unknown>} body @param {string} etag */
  _know(body, etag) {
    const before = this._known;
    this._known = Object.fromEntries(SETTINGS.map(({ name }) => [name, String(body[name])]));
    this._etag = etag;
    for (const { name } of differing(before, this._known)) {
      if (name in before) this._before[name] = { value: before[name], until: new Date() };
    }
  }

  _showKnown() {
    for (const field of this._fields) field.value = this._known[field.name] ?? "";
    this._set.clearErrors();
    fill(this._note);
    this._mark();
  }

  _changed() {
    return this._fields.filter((field) => field.name in this._known && field.value.trim() !== this._known[field.name]);
  }

  /** @param {Field} field @returns {string} the value that another takes the place of */
  _noteOf({ name, value }) {
    if (!(name in this._known)) return "";
    const { show } = /** @type {Setting} */ (settingOf(name));
    if (value.trim() !== this._known[name]) return `In force now: ${show(this._known[name])}`;
    const before = this._before[name];
    return before ? `Until ${secondOf(before.until)} it was ${show(before.value)}` : "";
  }

  _mark() {
    // A setting can be changed once its value is known.
    for (const field of this._fields) {
      field.input.disabled = !(field.name in this._known && may("all"));
      setText(field.note, this._noteOf(field));
    }
    const isChanged = this._changed().length > 0;
    this._save.disabled = !isChanged;
    this._reset.disabled = !isChanged;
  }
}

/** @param {Values} before @param {Values} after @returns {Setting[]} */
function differing(before, after) {
  return SETTINGS.filter(({ name }) => before[name] !== after[name]);
}

/** @param {Field} field @returns {string | number} as the server wants it; it refuses what is no number */
function typed(field) {
  const text = field.value.trim();
  const isNumber = settingOf(field.name)?.isNumber;
  return isNumber && /^-?\d+$/.test(text) ? Number(text) : text;
}
