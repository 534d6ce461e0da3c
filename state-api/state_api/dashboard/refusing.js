/** The dialogs that suspend a user, and ban or exempt a network. */

import { get, Problem, request, segment } from "./api.js";
import { ask, requestIfMeant } from "./dialogs.js";
import { announce } from "./dom.js";
import { Field, wrong } from "./forms.js";
import { count, counted, someOf, visible } from "./units.js";

const LONGEST_REASON = 200;
const REASON_HINT = `Mail programs show it: up to ${LONGEST_REASON} characters of ASCII. Empty: they get a general text.`;
const MEANING = "An open session ends with the reason, and logins with the right password get it. Mail still arrives; the password stays.";

/** Users that one request suspends: the server takes 64 KiB. */
const A_REQUEST = 100;

/** @type {[string, string][]} seconds, and how people say them */
const LENGTHS = [
  ["", "Until it is lifted"],
  ["3600", "For an hour"],
  ["86400", "For a day"],
  ["604800", "For a week"],
  ["2592000", "For 30 days"],
];

/** @type {Record<string, string>} */
const NOT_SET = {
  past: "its end would be in the past",
  full: "10,000 users and networks are refused already, which is the limit",
};

/** @param {string} [username] whom it is about, where that is known @returns {Promise<boolean>} whether it was done */
export async function askForSuspension(username) {
  const name = new Field({ name: "username", label: "User", attributes: { maxlength: 128 } });
  name.value = username ?? "";
  const reason = reasonField("reason");
  const length = lengthField("until");
  const shown = () => name.value.trim();
  let late = "";
  const isDone = await ask({
    title: username ? `Suspend ${username}?` : "Suspend a user",
    paragraphs: [MEANING],
    fields: username ? [reason, length] : [name, reason, length],
    action: "Suspend",
    fieldOfKind: { "unknown-user": "username" },
    run: async () => {
      if (!shown()) throw wrong(name, "Give a user's name");
      const body = { reason: reasonIn(reason), until: endOf(length) };
      await askToReplace(shown());
      const answer = await request("PUT", `v1/users/${segment(shown())}/suspension`, { body });
      late = warning(answer.body);
    },
  });
  if (isDone) announce(`${shown()} is suspended${late}`);
  return isDone;
}

/** @param {string[]} usernames @returns {Promise<boolean>} whether any was suspended */
export async function askForSuspensions(usernames) {
  // The names under which the server tells of errors, which are those of all entries.
  const reason = reasonField("refusals.0.reason");
  const length = lengthField("refusals.0.until");
  const rest = [...usernames];
  /** @type {string[]} */
  const suspended = [];
  let late = "";
  await ask({
    title: `Suspend ${counted(usernames.length, "user")}?`,
    paragraphs: [`${someOf(usernames)}.`, MEANING],
    fields: [reason, length],
    action: `Suspend ${counted(usernames.length, "user")}`,
    isDangerous: true,
    run: async (report) => {
      const how = { kind: "suspend", reason: reasonIn(reason), until: endOf(length) };
      while (rest.length) {
        const refusals = rest.slice(0, A_REQUEST).map((subject) => ({ ...how, subject }));
        const { body } = await request("POST", "v1/refusals", { body: { refusals } });
        rest.splice(0, A_REQUEST);
        suspended.push(...body.results.filter(isSet).map((/** @type {{subject: string}} */ one) => one.subject));
        late = warning(body) || late;
        if (!report(`${count(usernames.length - rest.length)} of ${count(usernames.length)}`)) return;
      }
    },
  });
  if (rest.length === usernames.length) return false;
  announce(`${count(suspended.length)} of ${counted(usernames.length, "user")} suspended${late}`);
  return true;
}

/** @param {{outcome: string}} result */
function isSet({ outcome }) {
  return outcome === "set";
}

/** Ask before a suspension takes the place of another; throws `Problem` where that is not meant.
 *  @param {string} username */
async function askToReplace(username) {
  const query = new URLSearchParams({ kind: "suspend", text: username, limit: "1000" });
  /** @type {import("./refusals.js").Refusal[]} */
  const refusals = (await get(`v1/refusals?${query}`)).refusals;
  const earlier = refusals.find((one) => one.subject === username);
  if (!earlier) return;
  const isMeant = await ask({
    title: `${username} is suspended already`,
    paragraphs: [
      `By ${visible(earlier.by)}: ${earlier.reason || "without a reason"}.`,
      "The new reason and the new end replace the earlier ones.",
    ],
    action: "Replace",
  });
  if (!isMeant) throw new Problem(409, "", "Nothing was changed: the earlier suspension holds");
}

/** @param {"ban" | "exempt"} kind @returns {Promise<boolean>} whether it was done */
export async function askForNetwork(kind) {
  const isBan = kind === "ban";
  // The names under which the server tells of errors.
  const network = new Field({
    name: "refusals.0.subject",
    label: "Address or network",
    hint: "Such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32.",
    attributes: { maxlength: 64 },
  });
  const reason = reasonField("refusals.0.reason");
  const length = lengthField("refusals.0.until");
  let told = "";
  const isDone = await ask({
    title: isBan ? "Ban a network" : "Exempt a network",
    paragraphs: [
      isBan
        ? "Its POP3 sessions end with the reason, and new connections get it instead of the greeting. PEEP and HTTP stay open."
        : "It is never banned, even as part of a banned network, and its wrong passwords are never slowed down.",
    ],
    fields: [network, reason, length],
    action: isBan ? "Ban" : "Exempt",
    isDangerous: isBan,
    run: async () => {
      if (!network.value.trim()) throw wrong(network, "Give an address or a network");
      const refusal = { kind, subject: network.value.trim(), reason: reasonIn(reason), until: endOf(length) };
      told = outcomeOf(isBan, await send({ refusals: [refusal] }, isBan));
    },
  });
  if (isDone) announce(told);
  return isDone;
}

/** @param {boolean} isBan @param {any} done */
function outcomeOf(isBan, done) {
  const [one] = done.results;
  if (one.outcome !== "set") return `Nothing was changed: ${NOT_SET[one.outcome]}`;
  return `${one.subject} is ${isBan ? "banned" : "exempt"}${warning(done)}`;
}

/** Ask once more where the server does, about a network that holds more than may be meant.
 *  @param {object} body
 *  @param {boolean} isBan */
async function send(body, isBan) {
  const answer = await requestIfMeant("POST", "v1/refusals", { body }, ({ errors }) => ({
    title: `${isBan ? "Ban" : "Exempt"} this all the same?`,
    paragraphs: errors.map((one) => `This ${isBan ? "ban" : "exemption"} ${one.message}.`),
    action: isBan ? "Ban" : "Exempt",
  }));
  return answer.body;
}

/** @param {string} name */
function reasonField(name) {
  return new Field({ name, label: "Reason", hint: REASON_HINT });
}

/** @param {Field} field @returns {string} throws `Problem` where it is too long */
function reasonIn(field) {
  const reason = field.value.trim();
  if (reason.length <= LONGEST_REASON) return reason;
  throw wrong(field, `A reason has at most ${LONGEST_REASON} characters, and this one has ${reason.length}`);
}

/** @param {string} name */
function lengthField(name) {
  return new Field({ name, label: "How long", choices: LENGTHS });
}

/** @param {Field} length @returns {string | null} */
function endOf(length) {
  return length.value ? new Date(Date.now() + Number(length.value) * 1000).toISOString() : null;
}

/** @param {{is_obeyed: boolean, ignorant?: string[]}} done @returns {string} which POP3 processes do not go by it */
function warning({ is_obeyed: isObeyed, ignorant = [] }) {
  if (ignorant.length) return `; but the POP3 service of ${someOf(ignorant)} knows no refusals and lets everybody in: upgrade it`;
  return isObeyed ? "" : "; a POP3 process does not answer, and will apply it once it does";
}
