/** Who has done what, with a button that sets a setting back. */

import { get, Problem, request } from "./api.js";
import { ask } from "./dialogs.js";
import { announce, button, byId, element } from "./dom.js";
import { Field, whenTyped } from "./forms.js";
import { Pages } from "./pages.js";
import { Polling } from "./polling.js";
import { announcing, settingOf } from "./settings.js";
import { Table } from "./tables.js";
import { momentWithSeconds, visible } from "./units.js";

/**
 * @typedef {object} Act
 * @property {string} id
 * @property {string} at
 * @property {string} who
 * @property {"peep" | "http" | "dashboard" | "machine"} door
 * @property {string} address
 * @property {string} token
 * @property {string} action
 * @property {string} object
 * @property {string} old
 * @property {string} new
 */

const PAGE = 50;
const TYPING = 300;
const LONGEST = 80;

/** @type {[string, string][]} */
const DOORS = [
  ["", "any"],
  ["peep", "PEEP"],
  ["http", "HTTP"],
  ["dashboard", "this dashboard"],
  ["machine", "the machine itself"],
];

/** @type {import("./tables.js").Column<Act>[]} */
const COLUMNS = [
  { label: "When", className: "line-cell", show: (row) => momentWithSeconds(new Date(row.at)) },
  { label: "Who", className: "name-cell", show: who },
  { label: "From", className: "wide-cell", show: (row) => visible([row.door, row.address].filter(Boolean).join(" ")) },
  { label: "What", className: "line-cell", show: (row) => row.action },
  { label: "To what", className: "wide-cell", show: (row) => briefly(row.object) },
  { label: "Before", className: "wide-cell", show: (row) => briefly(row.old) },
  { label: "After", className: "wide-cell", show: (row) => briefly(row.new) },
];

export class Audit {
  constructor() {
    this._about = "";
    this._action = new Field({ name: "action", label: "What", type: "search", attributes: { maxlength: 128, placeholder: "settings, user.add" } });
    this._filters = [
      new Field({ name: "who", label: "Who", type: "search", attributes: { maxlength: 128 } }),
      this._action,
      new Field({ name: "object", label: "To what", type: "search", attributes: { maxlength: 128, placeholder: "A whole name" } }),
      new Field({ name: "door", label: "Through which door", choices: DOORS }),
    ];
    this._forgetTyped = whenTyped(
      this._filters,
      TYPING,
      () => this._pages.read(),
      () => this._prepare(),
    );
    this._table = new Table({
      caption: "Audit",
      columns: COLUMNS,
      key: (row) => row.id,
      nothing: "Nothing has been done yet.",
      actions: (row) => (isUndoable(row()) ? [this._undoButton(row)] : []),
    });
    this._pages = new Pages("Pages of the audit", ["Newer", "Older"], this._table, () => this._polling.start());
    this._polling = new Polling(
      () => this._path({ limit: String(PAGE), ...(this._pages.start && { before: this._pages.start }) }),
      (page) => this._render(page.acts, page.next),
    );
    this._csv = element("a", { download: true }, "CSV");
    this._lines = element("a", { download: true }, "JSON lines");
    byId("audit").append(
      element("div", { class: "toolbar" }, ...this._filters.map((field) => field.root)),
      this._table.root,
      this._pages.root,
      element("p", { class: "muted" }, "Download all entries that match: ", this._csv, " ", this._lines),
    );
    this._link();
  }

  /** @param {string} about such as "settings" where only they are asked for */
  show(about) {
    const isAsked = about !== "" && about !== this._about;
    this._about = about;
    if (isAsked) {
      this._action.value = about;
      this._prepare();
    }
    this._pages.read();
  }

  hide() {
    this._polling.stop();
    this._forgetTyped();
  }

  _prepare() {
    this._pages.hold();
    this._link();
  }

  /** @param {Record<string, string>} [more] @returns {string} */
  _path(more = {}) {
    const given = this._filters.map((field) => [field.name, field.value.trim()]).filter(([, value]) => value);
    return `v1/audit?${new URLSearchParams([...given, ...Object.entries(more)])}`;
  }

  _link() {
    this._csv.href = this._path({ format: "csv" });
    this._lines.href = this._path({ format: "jsonl" });
  }

  /** @param {Act[]} acts @param {string | null} next */
  _render(acts, next) {
    // What is new is on the first page only.
    if (this._pages.start) this._polling.stop();
    this._table.render(acts, this._filters.some((field) => field.value) ? "No entry matches these filters." : undefined);
    this._pages.show(next, this._pages.start !== "");
  }

  /** @param {() => Act} row */
  _undoButton(row) {
    const { object, old } = row();
    const name = `Undo: ${settingOf(object)?.subject.toLowerCase()} back to ${shown(object, old)}`;
    return button("Undo", () => this._undo(row()), { kind: "small", needs: "all", name });
  }

  /** @param {Act} act */
  async _undo(act) {
    const { subject } = /** @type {import("./settings.js").Setting} */ (settingOf(act.object));
    const [before, after] = [shown(act.object, act.old), shown(act.object, act.new)];
    const agreed = new URLSearchParams();
    const isDone = await ask({
      title: `${subject}: back to ${before}?`,
      paragraphs: [`It was ${before} until ${visible(act.who)} set it to ${after}, ${momentWithSeconds(new Date(act.at))}.`],
      action: "Undo",
      isDangerous: true,
      run: async () => {
        try {
          await announcing([act.object], () => request("POST", `v1/audit/${act.id}/undo?${agreed}`));
        } catch (error) {
          throw await asQuestion(error, act.object, agreed);
        }
      },
    });
    if (!isDone) return;
    announce(`${subject} is ${before} again`);
    await this._pages.begin();
  }
}

/**
 * Make a question of a refusal: pressed again, the button agrees.
 * @param {unknown} error @param {string} name of the setting @param {URLSearchParams} agreed
 */
async function asQuestion(error, name, agreed) {
  if (!(error instanceof Problem)) return error;
  if (error.kind === "changed-again") {
    const now = shown(name, String((await get("v1/settings"))[name]));
    agreed.set("even_if_changed", "true");
    return new Problem(error.status, error.kind, `It is ${now} by now. Undo the change all the same?`);
  }
  if (error.kind === "needs-confirmation") {
    agreed.set("confirm", "true");
    const reasons = error.errors.map((one) => `${one.message}.`).join(" ");
    return new Problem(error.status, error.kind, `${reasons} Undo the change all the same?`);
  }
  return error;
}

/** @param {Act} row */
function who(row) {
  const name = visible(row.who) || "(somebody)";
  if (!row.token) return name;
  return element("span", {}, name, " ", element("span", { class: "badge" }, visible(row.token)));
}

/** @param {Act} act */
function isUndoable(act) {
  return act.action === "settings.change" && act.old !== "" && settingOf(act.object) !== undefined;
}

/** @param {string} name @param {string} value */
function shown(name, value) {
  return visible(settingOf(name)?.show(value) ?? value);
}

/** @param {string} text */
function briefly(text) {
  const whole = visible(text);
  return whole.length > LONGEST ? element("span", { title: whole }, `${whole.slice(0, LONGEST)}…`) : whole;
}
