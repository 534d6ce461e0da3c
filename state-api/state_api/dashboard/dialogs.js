/** Dialogs that confirm an action, or ask for what it needs. */

import { Problem, request } from "./api.js";
import { announce, element, setText } from "./dom.js";
import { FieldSet } from "./forms.js";

/** @typedef {import("./forms.js").Field} Field */

/**
 * @typedef {object} DialogOptions
 * @property {string} title
 * @property {string[]} [paragraphs]
 * @property {Field[]} [fields]
 * @property {HTMLElement} [content] what else is to be read, which can take the focus: the dialog is wide then
 * @property {string} action the word on the button
 * @property {boolean} [isDangerous]
 * @property {boolean} [isAnswerable] whether there is anything to cancel
 * @property {Record<string, string>} [fieldOfKind] the field that a kind of problem is about
 * @property {(report: (text: string) => boolean) => Promise<void>} [run] the action; what it throws is shown, and the
 *   dialog stays; `report` shows how far it is, and answers whether the dialog is still there
 */

/**
 * @typedef {object} Deletion
 * @property {string} path what to delete
 * @property {string} goneKind the kind of problem that says that it is gone already
 * @property {string} done what to announce
 * @property {() => Promise<void>} reload
 * @property {HTMLElement} table gets the focus, when the row with the button that had it is gone
 */

let numberOfDialogs = 0;

/**
 * Show a dialog until the action is done or cancelled. The browser gives the focus back to where it was.
 * @param {DialogOptions} options
 * @returns {Promise<boolean>} whether it was done
 */
export function ask({ title, paragraphs = [], fields = [], content, action, isDangerous = false, isAnswerable = true, fieldOfKind, run = async () => {} }) {
  numberOfDialogs += 1;
  const id = `dialog-${numberOfDialogs}`;
  const set = new FieldSet(fields);
  const confirm = element(
    "button",
    { type: "submit", class: isDangerous ? "button danger filled" : "button primary" },
    action,
  );
  const progress = element("p", { class: "progress", role: "status" });
  const cancel = element("button", { type: "button", class: "button" }, "Cancel");
  const form = element(
    "form",
    { novalidate: true },
    element("h2", { id }, title),
    ...paragraphs.map((text) => element("p", {}, text)),
    set.root,
    content,
    progress,
    element("div", { class: "actions" }, isAnswerable && cancel, confirm),
  );
  const dialog = element("dialog", { "aria-labelledby": id, class: content ? "wide" : null }, form);
  let isDone = false;
  cancel.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (confirm.disabled) return;
    confirm.disabled = true;
    set.clearErrors();
    try {
      await run((text) => {
        setText(progress, text);
        return dialog.open;
      });
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
  dialog.scrollTop = 0;
  // What cannot be taken back is not one careless press of Enter away.
  (fields[0]?.input ?? content ?? (isDangerous ? cancel : confirm)).focus({ preventScroll: true });
  if (!isAnswerable && fields[0]?.input instanceof HTMLInputElement) fields[0].input.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(isDone);
    });
  });
}

/**
 * Show what is to be read, or copied, until that is done.
 * @param {Pick<DialogOptions, "title" | "paragraphs" | "fields" | "content" | "action">} options
 */
export async function tell(options) {
  await ask({ ...options, isAnswerable: false });
}

/**
 * Send a change; where the server wants it confirmed, ask whether it is meant, and send it again.
 * @param {string} method
 * @param {string} path
 * @param {{body: unknown, ifMatch?: string}} extra
 * @param {(problem: Problem) => DialogOptions} question
 * @returns {ReturnType<typeof request>} throws `Problem`, and that of the server where the answer is no
 */
export async function requestIfMeant(method, path, extra, question) {
  try {
    return await request(method, path, extra);
  } catch (error) {
    if (!(error instanceof Problem && error.kind === "needs-confirmation")) throw error;
    if (!(await ask({ ...question(error), isDangerous: true }))) throw error;
    return await request(method, `${path}?confirm=true`, extra);
  }
}

/**
 * Ask before something is deleted, and bring the table up to date that has shown it.
 * @param {Omit<DialogOptions, "run"> & Deletion} options
 */
export async function askToDelete({ path, goneKind, done, reload, table, ...dialog }) {
  if (!(await ask({ ...dialog, run: () => deleteUnlessGone(path, goneKind) }))) return;
  announce(done);
  await reload();
  if (document.activeElement === document.body) table.focus();
}

/**
 * Delete something. Where somebody else was faster, or it has ended by itself, what was wanted is so.
 * @param {string} path
 * @param {string} goneKind the kind of problem that says that it is gone already
 */
export async function deleteUnlessGone(path, goneKind) {
  try {
    await request("DELETE", path);
  } catch (error) {
    if (!(error instanceof Problem && error.kind === goneKind)) throw error;
  }
}
