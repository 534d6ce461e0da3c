/** Users added from a list: passwords are made where it has none, and shown once. */

import { Problem, request } from "./api.js";
import { ask, tell } from "./dialogs.js";
import { element, setText } from "./dom.js";
import { Field, wrong } from "./forms.js";
import { Table } from "./tables.js";
import { count, counted, visible } from "./units.js";

/** @typedef {"added" | "exists" | "refused" | "unknown" | "not sent"} Outcome */
/** @typedef {{number: number, name: string, password: string, isMade: boolean, outcome: Outcome, reason: string}} Line */

/** Users a request: each password is hashed, and the dialog should show how far it is. */
const A_REQUEST = 20;

/** Octets of a request's users; the server takes 64 KiB. */
const MOST_OCTETS = 48 * 1024;

const MOST_LINES = 100_000;
const MOST_FILE_OCTETS = 10_000_000;
const LONGEST_LINE = 4096;
const LONGEST_NAME_SHOWN = 128;

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const MADE_CHARACTERS = 20; // 119 bits

/** @type {Record<Outcome, string>} */
const WORDS = {
  refused: "Not added",
  unknown: "Unknown: the server did not answer. Add these users again: those who exist stay as they are",
  "not sent": "Not sent",
  exists: "Exists already, and keeps its password",
  added: "Added",
};

/** @type {import("./tables.js").Column<Line>[]} */
const COLUMNS = [
  { label: "Line", className: "numeric", show: (row) => count(row.number), order: (row) => row.number },
  { label: "Name", className: "name-cell", show: (row) => visible(row.name.slice(0, LONGEST_NAME_SHOWN)) || "–", order: (row) => row.name },
  { label: "Result", className: "wide-cell", show: result, order: (row) => Object.keys(WORDS).indexOf(row.outcome) },
  { label: "New password", show: (row) => (hasNewPassword(row) ? element("code", {}, row.password) : "") },
];

/** Ask for a list, add its users, and show what became of each. @returns {Promise<boolean>} whether any may be new */
export async function askForMany() {
  const file = new Field({ name: "file", label: "File", type: "file", attributes: { accept: ".txt,.csv,.tsv,text/plain" } });
  const list = new Field({
    name: "list",
    label: "Users, one a line",
    rows: 8,
    hint: "name, name:password or name,password. A line with a name alone gets a password, which is shown once. Lines that begin with # are skipped.",
  });
  file.input.addEventListener("change", () => readInto(file, list));
  /** @type {Line[]} */
  let lines = [];
  let sending = Promise.resolve();
  await ask({
    title: "Add users from a file",
    paragraphs: ["Choose a file, or type the users. Users who exist stay as they are."],
    fields: [file, list],
    action: "Add users",
    run: async (report) => {
      lines = linesOf(list);
      sending = send(lines, report);
      await sending;
    },
  });
  // Whoever closes the dialog meanwhile still sees the passwords of those who were added.
  await sending;
  if (lines.length) await showResults(lines);
  return lines.some((line) => line.outcome === "added" || line.outcome === "unknown");
}

/** @param {Field} file @param {Field} list */
async function readInto(file, list) {
  const chosen = /** @type {HTMLInputElement} */ (file.input).files?.[0];
  if (!chosen) return;
  setText(file.note, "");
  if (chosen.size > MOST_FILE_OCTETS) {
    file.setError("The file is larger than 10 MB: divide it.");
    return;
  }
  try {
    list.value = new TextDecoder("utf-8", { fatal: true }).decode(await chosen.arrayBuffer());
  } catch (error) {
    file.setError(error instanceof TypeError ? "The file is not UTF-8 text." : "The file cannot be read.");
    return;
  }
  list.clearError();
  setText(file.note, `${counted(usedLines(list.value).length, "user")} in ${visible(chosen.name)}`);
}

/** @param {string} text @returns {[number: number, text: string][]} without empty lines and comments */
function usedLines(text) {
  const all = text.split(/\r\n|\r|\n/).map((line, index) => /** @type {[number, string]} */ ([index + 1, line]));
  return all.filter(([, line]) => line.trim() && !line.startsWith("#"));
}

/** @param {Field} list @returns {Line[]} throws `Problem` where it cannot be used at all */
function linesOf(list) {
  const used = usedLines(list.value);
  if (!used.length) throw wrong(list, "Give at least one user, or choose a file");
  if (used.length > MOST_LINES) throw wrong(list, `These are more than ${count(MOST_LINES)} users: divide the list`);
  /** @type {Map<string, number>} */
  const known = new Map();
  return used.map(([number, line]) => {
    const made = lineOf(number, line);
    const first = known.get(made.name);
    if (first === undefined) known.set(made.name, number);
    else refuse(made, `the same name as in line ${first}`);
    if (line.length > LONGEST_LINE) refuse(made, `longer than ${count(LONGEST_LINE)} characters`);
    return made;
  });
}

/** @param {number} number @param {string} line @returns {Line} */
function lineOf(number, line) {
  const end = line.search(/[\t:,]/);
  const name = (end < 0 ? line : line.slice(0, end)).trim();
  const given = end < 0 ? "" : line.slice(end + 1);
  return { number, name, password: given || madePassword(), isMade: !given, outcome: "not sent", reason: "" };
}

/**
 * Send what is not refused yet, until the dialog is closed or the server does not take it.
 * @param {Line[]} lines
 * @param {(text: string) => boolean} report
 */
async function send(lines, report) {
  let done = 0;
  const wanted = lines.filter((line) => line.outcome === "not sent");
  for (const part of parts(wanted)) {
    if (!report(`${count(done)} of ${count(wanted.length)} done`)) return;
    const users = part.map(({ name, password }) => ({ username: name, password }));
    try {
      const { results } = (await request("POST", "v1/users", { body: { users } })).body;
      part.forEach((line, index) => Object.assign(line, { outcome: results[index].outcome, reason: results[index].reason ?? "" }));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      // Without an answer the server may have added them all the same.
      const outcome = error.status === 0 || error.status >= 500 ? "unknown" : "refused";
      for (const line of part) Object.assign(line, { outcome, reason: error.message });
      return;
    }
    done += part.length;
  }
}

/** @param {Line[]} lines */
function* parts(lines) {
  const encoder = new TextEncoder();
  /** @type {Line[]} */
  let part = [];
  let octets = 0;
  for (const line of lines) {
    const more = encoder.encode(JSON.stringify({ username: line.name, password: line.password })).length + 1;
    if (part.length === A_REQUEST || (part.length && octets + more > MOST_OCTETS)) {
      yield part;
      [part, octets] = [[], 0];
    }
    part.push(line);
    octets += more;
  }
  if (part.length) yield part;
}

/** @param {Line[]} lines */
async function showResults(lines) {
  const table = new Table({ caption: "The result of each line", columns: COLUMNS, key: (row) => String(row.number), nothing: "", sorted: [2, 1], most: 50 });
  table.render(lines);
  const made = lines.filter(hasNewPassword);
  const file = new Blob(made.map((line) => `${line.name}:${line.password}\n`), { type: "text/plain" });
  const address = URL.createObjectURL(file);
  const link = element("a", { class: "button", href: address, download: "passwords.txt" }, "Download the new passwords");
  await tell({
    title: summary(lines),
    paragraphs: made.length ? ["The new passwords are shown only now: copy or download them before you close this."] : [],
    content: element("div", { class: "fields", tabindex: "-1" }, made.length > 0 && element("p", {}, link), table.root),
    action: "Close",
  });
  URL.revokeObjectURL(address);
}

/** @param {Line[]} lines @returns {string} such as "48 users added, 2 not added" */
function summary(lines) {
  const added = lines.filter((line) => line.outcome === "added").length;
  const others = lines.length - added;
  return `${counted(added, "user")} added${others ? `, ${count(others)} not` : ""}`;
}

/** @param {Line} line */
function result({ outcome, reason }) {
  return reason ? `${WORDS[outcome]}: ${reason}` : WORDS[outcome];
}

/** @param {Line} line @returns {boolean} whether somebody may need the password that was made */
function hasNewPassword({ isMade, outcome }) {
  return isMade && (outcome === "added" || outcome === "unknown");
}

/** @param {Line} line @param {string} reason */
function refuse(line, reason) {
  Object.assign(line, { outcome: "refused", reason });
}

export function madePassword() {
  let password = "";
  while (password.length < MADE_CHARACTERS) {
    const [octet] = crypto.getRandomValues(new Uint8Array(1));
    // Beyond the last multiple the first letters would come more often.
    if (octet < 256 - (256 % LETTERS.length)) password += LETTERS[octet % LETTERS.length];
  }
  return password;
}
