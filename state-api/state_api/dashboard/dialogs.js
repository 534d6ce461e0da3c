/** Dialogs that ask before something is done, or for what is needed to do it. */

import { element } from "./dom.js";
import { FieldSet } from "./forms.js";

/** @typedef {import("./forms.js").Field} Field */

/**
 * @typedef {object} DialogOptions
 * @property {string} title
 * @property {string[]} [paragraphs]
 * @property {Field[]} [fields]
 * @property {string} action the word on the button that does it
 * @property {boolean} [isDangerous]
 * @property {Record<string, string>} [fieldOfKind] the field that a kind of problem is about
 * @property {() => Promise<void>} run does it; what it throws is shown, and the dialog stays
 */

let numberOfDialogs = 0;

/**
 * Show a dialog until it was done or called off. The browser gives the focus back to where it was.
 * @param {DialogOptions} options
 * @returns {Promise<boolean>} whether it was done
 */
export function ask({ title, paragraphs = [], fields = [], action, isDangerous = false, fieldOfKind, run }) {
  numberOfDialogs += 1;
  const id = `dialog-${numberOfDialogs}`;
  const set = new FieldSet(fields);
  const confirm = element(
    "button",
    { type: "submit", class: isDangerous ? "button danger filled" : "button primary" },
    action,
  );
  const cancel = element("button", { type: "button", class: "button" }, "Cancel");
  const form = element(
    "form",
    { novalidate: true },
    element("h2", { id }, title),
    ...paragraphs.map((text) => element("p", {}, text)),
    set.root,
    element("div", { class: "actions" }, cancel, confirm),
  );
  const dialog = element("dialog", { "aria-labelledby": id }, form);
  let isDone = false;
  cancel.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (confirm.disabled) return;
    confirm.disabled = true;
    set.clearErrors();
    try {
      await run();
      isDone = true;
      dialog.close();
    } catch (error) {
      // Enabled before the focus goes to a field, or back to the button.
      confirm.disabled = false;
      confirm.focus();
      set.showProblem(error, fieldOfKind);
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  // What cannot be taken back is not one careless press of Enter away.
  (fields[0]?.input ?? (isDangerous ? cancel : confirm)).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(isDone);
    });
  });
}
