/** The list of events: logins, logouts, refused passwords, changed settings. */

import { announce, byId, element, fill, setText } from "./dom.js";
import { ago, counted, momentOf, visible } from "./units.js";
import { SETTINGS } from "./settings.js";

/** @typedef {import("./live.js").Live} Live */

const MOST_ENTRIES = 100;
const AGES_EVERY = 5000;

export class Activity {
  /** @param {Live} live */
  constructor(live) {
    this._list = element("ol", { class: "feed", tabindex: "0", "aria-labelledby": "activity-title" });
    this._nothing = element("p", { class: "muted" }, "Nothing has happened since this page was opened.");
    this._list.hidden = true;
    fill(byId("activity"), this._nothing, this._list);
    listen(live, "login", (event) => this._add("→", "in", [strong(event.username), ` logged in from ${event.address}`], event.at));
    listen(live, "logout", (event) => this._add("←", "out", [strong(event.username), " logged out"], event.at));
    listen(live, "setting", (event) => this._addSetting(event));
    listen(live, "refused", (event) => this._addRefused(event));
    listen(live, "slowed", (event) => this._addSlowed(event));
    listen(live, "refusal", (event) => this._addRefusal(event));
    listen(live, "gap", () => this._add("…", "out", ["More has happened than this page knows"], new Date()));
    setInterval(() => this._age(), AGES_EVERY);
  }

  /** @param {{username: string, network: string, count: string | number, at: string}} event */
  _addRefused({ username, network, count: times, at }) {
    const whose = username ? [strong(username), ` was refused from ${network}`] : [`An administrator was refused from ${network}`];
    this._add("×", "bad", Number(times) > 1 ? [...whose, `, ${counted(Number(times), "password")} in all`] : whose, at);
  }

  /** @param {{username: string, network: string, at: string}} event */
  _addSlowed({ username, network, at }) {
    const whom = username ? [" at ", strong(username)] : [];
    this._add("×", "bad", ["Guesses", ...whom, network ? ` from ${network}` : " from many networks", " are slowed down"], at);
  }

  /** @param {{action: string, refusal: string, subject: string, by: string, count: string | number, at: string}} event */
  _addRefusal({ action, refusal, subject, by, count: times, at }) {
    const done = { suspend: "is suspended", ban: "is banned", exempt: "is exempt" }[refusal] ?? refusal;
    const others = Number(times) > 1 ? `, as the last of ${times}` : "";
    const words = { lift: `${done} no longer, lifted by ${by}`, end: `${done} no longer: its time is over` }[action] ?? `${done}, by ${by}`;
    this._add("✎", "in", [strong(subject), ` ${visible(words)}${others}`], at);
  }

  /** @param {{name: string, value: string | number, at: string}} event */
  _addSetting({ name, value, at }) {
    const known = SETTINGS.find((setting) => setting.name === name);
    const words = [known?.subject ?? name, known?.show(String(value)) ?? String(value)];
    this._add("✎", "in", [`${words[0]} is now `, strong(words[1])], at);
    announce(`${words[0]} is now ${words[1]}`);
  }

  /** @param {string} mark @param {string} direction @param {(Node | string)[]} what @param {string | Date} at */
  _add(mark, direction, what, at) {
    const when = new Date(at);
    const time = element("time", { datetime: when.toISOString(), title: momentOf(when) }, ago(when));
    const marked = element("span", { class: `mark ${direction}`, "aria-hidden": "true" }, mark);
    this._list.prepend(element("li", {}, marked, element("span", { class: "what" }, ...what), time));
    while (this._list.children.length > MOST_ENTRIES) this._list.lastElementChild?.remove();
    this._nothing.hidden = true;
    this._list.hidden = false;
  }

  _age() {
    for (const time of this._list.querySelectorAll("time")) setText(time, ago(new Date(time.dateTime)));
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
