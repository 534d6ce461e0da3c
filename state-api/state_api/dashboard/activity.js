/** The list of events: logins and logouts, refused passwords, changes. */

import { announce, byId, element, fill, setText } from "./dom.js";
import { inWords, isBad } from "./health-changes.js";
import { ago, counted, minuteOf, momentOf, visible } from "./units.js";
import { isAnnounced, settingOf } from "./settings.js";

/** @typedef {import("./live.js").Live} Live */
/** @typedef {"change" | "session" | "refused"} Kind */

/** Of each kind so many entries are kept: the busiest pushes out only its own. @type {Record<Kind, number>} */
const MOST_ENTRIES = { change: 100, session: 30, refused: 30 };

/** Logins, or refusals, within so many milliseconds share an entry: a busy server has hundreds a second. */
const SHARED = 60000;

/** Names of a shared entry that are told apart. */
const MOST_NAMES = 1000;

/** Milliseconds in which settings that change together are announced together. */
const TOGETHER = 500;

const AGES_EVERY = 5000;

export class Activity {
  /** @param {Live} live */
  constructor(live) {
    this._list = element("ol", { class: "feed", tabindex: "0", "aria-labelledby": "activity-title" });
    this._nothing = element("p", { class: "muted" }, "Nothing has happened since this page was opened.");
    this._list.hidden = true;
    /** Of each kind the newest first. @type {Record<Kind, Entry[]>} */
    this._entries = { change: [], session: [], refused: [] };
    /** @type {string[]} */
    this._news = [];
    fill(byId("activity"), this._nothing, this._list);
    listen(live, "login", (event) => this._addLogin(event));
    listen(live, "logout", (event) => this._addLogout(event));
    listen(live, "setting", (event) => this._addSetting(event));
    listen(live, "refused", (event) => this._addRefused(event));
    listen(live, "slowed", (event) => this._addSlowed(event));
    listen(live, "refusal", (event) => this._addRefusal(event));
    listen(live, "health", (event) => this._addHealth(event));
    listen(live, "gap", () => this._add("…", "out", ["Some activity was missed"], new Date()));
    setInterval(() => this._age(), AGES_EVERY);
  }

  /** @param {{username: string, address: string, at: string}} event */
  _addLogin({ username, address, at }) {
    const entry = this._shared("session", at);
    entry.show("→", "in", [strong(username), ` logged in from ${address}`], at);
    entry.count("login", 1, username);
  }

  /** @param {{username: string, at: string}} event */
  _addLogout({ username, at }) {
    const entry = this._shared("session", at);
    entry.show("←", "out", [strong(username), " logged out"], at);
    entry.count("logout", 1, username);
  }

  /** @param {{username: string, network: string, reason: string, count: string | number, at: string}} event */
  _addRefused({ username, network, reason, count: times, at }) {
    const entry = this._shared("refused", at);
    const from = ` was refused from ${network}${reason ? `: ${reason}` : ""}`;
    const whose = username ? [strong(visible(username)), from] : [`An administrator${from}`];
    entry.show("×", "bad", whose, at);
    entry.count("refused attempt", Number(times), username);
  }

  /** @param {{username: string, network: string, at: string}} event */
  _addSlowed({ username, network, at }) {
    const entry = this._shared("refused", at);
    const whom = username ? [" at ", strong(visible(username))] : [];
    entry.show("×", "bad", ["Guesses", ...whom, network ? ` from ${network}` : " from many networks", " are slowed down"], at);
    entry.count("slow-down", 1, username);
  }

  /** @param {{action: string, refusal: string, subject: string, by: string, count: string | number, at: string}} event */
  _addRefusal({ action, refusal, subject, by, count: times, at }) {
    const done = { suspend: "is suspended", ban: "is banned", exempt: "is exempt" }[refusal] ?? refusal;
    const others = Number(times) > 1 ? `, as the last of ${times}` : "";
    const words = { lift: `${done} no longer: lifted by ${by}`, end: `${done} no longer: its time is over` }[action] ?? `${done}, by ${by}`;
    this._add("✎", "in", [strong(subject), ` ${visible(words)}${others}`], at);
  }

  /** @param {import("./health-changes.js").HealthChange} event */
  _addHealth(event) {
    const [what, how] = inWords(event);
    this._add(isBad(event) ? "!" : "✓", isBad(event) ? "bad" : "in", [strong(what), ` ${how}`], event.at);
  }

  /** @param {{name: string, value: string | number, at: string}} event */
  _addSetting({ name, value, at }) {
    const known = settingOf(name);
    const words = [known?.subject ?? name, known?.show(String(value)) ?? String(value)];
    this._add("✎", "in", [`${words[0]} is now `, strong(words[1])], at);
    if (!isAnnounced(name)) this._announce(`${words[0]} is now ${words[1]}`);
  }

  /** @param {string} mark @param {string} direction @param {(Node | string)[]} what @param {string | Date} at */
  _add(mark, direction, what, at) {
    this._make("change").show(mark, direction, what, at);
  }

  /** The entry of a kind that is not a minute old yet, at the top of the list. @param {Kind} kind @param {string} at */
  _shared(kind, at) {
    const [newest] = this._entries[kind];
    if (!newest || Math.abs(Date.parse(at) - newest.since.getTime()) >= SHARED) return this._make(kind, at);
    if (this._list.firstElementChild !== newest.root) this._list.prepend(newest.root);
    return newest;
  }

  /** @param {Kind} kind @param {string} [at] */
  _make(kind, at) {
    const made = new Entry(at ? new Date(at) : new Date());
    const entries = this._entries[kind];
    entries.unshift(made);
    this._list.prepend(made.root);
    if (entries.length > MOST_ENTRIES[kind]) entries.pop()?.root.remove();
    this._nothing.hidden = true;
    this._list.hidden = false;
    return made;
  }

  /** @param {string} words */
  _announce(words) {
    this._news.push(words);
    if (this._news.length === 1) setTimeout(() => announce(this._news.splice(0).join(". ")), TOGETHER);
  }

  _age() {
    for (const time of this._list.querySelectorAll("time")) setText(time, ago(new Date(time.dateTime)));
  }
}

/** An event, or the newest of several and how many they are. */
class Entry {
  /** @param {Date} since */
  constructor(since) {
    this.since = since;
    this._mark = element("span", { "aria-hidden": "true" });
    this._what = element("span", {});
    this._sum = element("span", { class: "sum" });
    this._time = element("time", {});
    this.root = element("li", {}, this._mark, element("span", { class: "what" }, this._what, this._sum), this._time);
    /** @type {Map<string, number>} */
    this._counts = new Map();
    /** @type {Set<string>} */
    this._names = new Set();
  }

  /** @param {string} mark @param {string} direction @param {(Node | string)[]} what @param {string | Date} at */
  show(mark, direction, what, at) {
    const when = new Date(at);
    this._mark.className = `mark ${direction}`;
    setText(this._mark, mark);
    fill(this._what, ...what);
    this._time.dateTime = when.toISOString();
    this._time.title = momentOf(when);
    setText(this._time, ago(when));
  }

  /** @param {string} what @param {number} times @param {string} name empty where it is nobody's */
  count(what, times, name) {
    this._counts.set(what, (this._counts.get(what) ?? 0) + times);
    if (name && this._names.size < MOST_NAMES) this._names.add(name);
    const all = [...this._counts.values()].reduce((one, other) => one + other, 0);
    if (all < 2) return;
    const parts = [...this._counts].map(([one, number]) => counted(number, one)).join(", ");
    const whose = this._names.size > 1 ? ` of ${counted(this._names.size, "user")}` : "";
    const many = this._names.size < MOST_NAMES ? whose : ` of ${MOST_NAMES} users or more`;
    setText(this._sum, `In all ${parts}${many} since ${minuteOf(this.since)}`);
  }
}

/** @param {Live} live @param {string} kind @param {(event: any) => void} act */
function listen(live, kind, act) {
  live.addEventListener(kind, (event) => act(/** @type {CustomEvent} */ (event).detail));
}

/** @param {string} text */
function strong(text) {
  return element("strong", {}, text);
}
