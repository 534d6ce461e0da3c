/** Forms: fields with their hints, and with the server's errors beside them. */

import { Problem } from "./api.js";
import { button, element, setText } from "./dom.js";

/**
 * @typedef {object} FieldOptions
 * @property {string} name as the server calls it
 * @property {string} label
 * @property {string} [hint]
 * @property {"text" | "password" | "search" | "number" | "file"} [type]
 * @property {string} [autocomplete]
 * @property {Record<string, string | number | boolean>} [attributes] further ones of the input
 * @property {[value: string, text: string][]} [choices] what to choose from, instead of typing
 * @property {number} [rows] so many lines are seen at one time of those that may be typed
 */

let numberOfFields = 0;

/** One input, or choice, with its label, hint and error. */
export class Field {
  /** @param {FieldOptions} options */
  constructor({ name, label, hint = "", type = "text", autocomplete = "off", attributes = {}, choices, rows }) {
    numberOfFields += 1;
    const id = `field-${numberOfFields}`;
    this.name = name;
    this.label = label;
    this.error = element("p", { class: "error", id: `${id}-error` });
    /** What there is to say about the value that was typed, or is there. */
    this.note = element("p", { class: "note", id: `${id}-note` });
    const about = { id, name, autocomplete, "aria-describedby": `${hint ? `${id}-hint ` : ""}${id}-note ${id}-error` };
    const typed = { ...about, spellcheck: "false", autocapitalize: "none", ...attributes };
    if (choices) this.input = element("select", about, ...choices.map(([value, text]) => element("option", { value }, text)));
    else this.input = rows ? element("textarea", { ...typed, rows }) : element("input", { ...typed, type });
    this.input.addEventListener("input", () => this.clearError());
    const entry = element("div", { class: "entry" }, this.input);
    if (this.input instanceof HTMLInputElement && type === "password") entry.append(revealButton(this.input));
    this.root = element(
      "div",
      { class: "field" },
      element("label", { for: id }, label),
      entry,
      hint && element("p", { class: "hint", id: `${id}-hint` }, hint),
      this.note,
      this.error,
    );
  }

  get value() {
    return this.input.value;
  }

  set value(value) {
    this.input.value = value;
  }

  /** @param {string} message */
  setError(message) {
    setText(this.error, message);
    this.input.setAttribute("aria-invalid", "true");
  }

  clearError() {
    setText(this.error, "");
    this.input.removeAttribute("aria-invalid");
  }
}

/**
 * Make a field for a value that is to be copied, with a button that does it.
 * @param {{name: string, label: string, value: string}} about
 */
export function fieldToCopy({ name, label, value }) {
  const field = new Field({ name, label, attributes: { readonly: true } });
  field.value = value;
  // Beside it, since a dialog keeps screen readers from what is outside.
  field.note.setAttribute("role", "status");
  field.input.after(button("Copy", () => copy(field), { kind: "small" }));
  return field;
}

/** Fields, and one message for errors of none of them. */
export class FieldSet {
  /** @param {Field[]} fields */
  constructor(fields) {
    this.fields = fields;
    this.message = element("div", { class: "message bad", role: "alert" });
    this.root = element("div", { class: "fields" }, ...fields.map((field) => field.root), this.message);
  }

  clearErrors() {
    for (const field of this.fields) field.clearError();
    setText(this.message, "");
  }

  /**
   * Show the server's errors beside their inputs, and focus the first of these.
   * @param {unknown} error what a request threw
   * @param {Record<string, string>} [fieldOfKind] the field that a kind of problem is about
   */
  showProblem(error, fieldOfKind = {}) {
    if (!(error instanceof Problem)) throw error;
    const errors = error.errors.length ? error.errors : [{ field: fieldOfKind[error.kind] ?? "", message: error.message }];
    for (const field of this.fields) {
      const messages = errors.filter((one) => isAbout(one, field)).map((one) => sentence(one.message));
      if (messages.length) field.setError(messages.join(" "));
    }
    const others = errors.filter((one) => !this.fields.some((field) => isAbout(one, field)));
    if (others.length) setText(this.message, others.map((one) => sentence(one.message)).join(" "));
    this.fields.find((field) => field.error.textContent)?.input.focus();
  }
}

/** @param {{field: string}} error @param {Field} field @returns {boolean} whether it is about the field, or about one of the values in it */
function isAbout(error, field) {
  return error.field === field.name || error.field.startsWith(`${field.name}.`);
}

/** @param {Field} field @param {string} message what is wrong with it, seen before the server is asked @returns {Problem} */
export function wrong(field, message) {
  return new Problem(422, "invalid", message, [{ field: field.name, message }]);
}

/**
 * Act on what is typed, once nothing has been typed for a while.
 * @param {Field[]} fields
 * @param {number} milliseconds
 * @param {() => void} act
 * @param {() => void} [atOnce] what to do with each change before
 * @returns {() => void} forgets what was typed last
 */
export function whenTyped(fields, milliseconds, act, atOnce = () => {}) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const forget = () => clearTimeout(timer);
  for (const { input } of fields) {
    input.addEventListener("input", () => {
      forget();
      atOnce();
      timer = setTimeout(act, milliseconds);
    });
  }
  return forget;
}

/** @param {string} text @returns {string} "must be ..." as "Must be ...", with a full stop */
function sentence(text) {
  const clause = text.replace(/^Input should/, "this should");
  const begun = clause.charAt(0).toUpperCase() + clause.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/** @param {Field} field */
async function copy({ input, note }) {
  setText(note, "");
  // By plain http from another machine there is no clipboard.
  const isCopied = await navigator.clipboard?.writeText(input.value).then(
    () => true,
    () => false,
  );
  if (!isCopied) {
    input.focus();
    /** @type {HTMLInputElement} */ (input).select();
  }
  setText(note, isCopied ? "Copied" : "It is selected: press Ctrl+C (on a Mac Command+C) to copy it.");
}

/** @param {HTMLInputElement} input */
function revealButton(input) {
  const reveal = element("button", { type: "button", class: "button small", "aria-pressed": "false" }, "Show");
  reveal.setAttribute("aria-label", "Show the password");
  reveal.addEventListener("click", () => {
    const isShown = input.type === "text";
    input.type = isShown ? "password" : "text";
    reveal.setAttribute("aria-pressed", String(!isShown));
    setText(reveal, isShown ? "Show" : "Hide");
  });
  return reveal;
}
