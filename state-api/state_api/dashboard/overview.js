/** The overview: gauges with their charts, counters, who is logged in. */

import { Chart } from "./charts.js";
import { byId, element, fill, setText } from "./dom.js";
import { History } from "./history.js";
import { Past } from "./past.js";
import { count, counted, decimal, octetParts, momentOf, octets, secondOf } from "./units.js";

/** @typedef {import("./live.js").Counters} Counters */
/** @typedef {import("./live.js").Live} Live */
/** @typedef {import("./live.js").Moment} Moment */

const MINUTE = 60;

/**
 * @typedef {object} GaugeOptions
 * @property {string} title
 * @property {keyof Counters} name
 * @property {boolean} isRate whether growth a second is shown, and not the value itself
 * @property {(value: number) => [string, string]} parts a figure and its unit
 * @property {(moment: Moment) => string} note
 * @property {number} least see `Chart`
 */

/** @type {GaugeOptions[]} */
const GAUGES = [
  {
    title: "Connections",
    name: "current_connections",
    isRate: false,
    parts: (value) => [count(value), ""],
    note: (moment) => `of ${count(moment.max_connections)} at most`,
    least: 4,
  },
  {
    title: "Logged-in users",
    name: "logged_in_users",
    isRate: false,
    parts: (value) => [count(value), ""],
    note: (moment) => `${counted(moment.historical_logins, "login")} so far`,
    least: 4,
  },
  {
    title: "Octets sent",
    name: "retrieved_bytes",
    isRate: true,
    parts: (value) => {
      const [figure, unit] = octetParts(value);
      return [figure, `${unit}/s`];
    },
    note: (moment) => `${octets(moment.retrieved_bytes)} so far`,
    least: 1000,
  },
  {
    title: "Messages fetched",
    name: "retrieved_emails",
    isRate: true,
    parts: (value) => [decimal(value), "per s"],
    note: (moment) => `${count(moment.retrieved_emails)} so far`,
    least: 2,
  },
];

/** @type {{title: string, name: keyof Counters, show: (value: number) => string}[]} */
const FIGURES = [
  { title: "Messages fetched", name: "retrieved_emails", show: count },
  { title: "Octets sent", name: "retrieved_bytes", show: octets },
  { title: "Messages removed", name: "removed_emails", show: count },
  { title: "Connections", name: "historical_connections", show: count },
  { title: "Logins", name: "historical_logins", show: count },
];

export class Overview {
  /** @param {Live} live */
  constructor(live) {
    this._history = new History();
    this._gauges = GAUGES.map((options) => new Gauge(options));
    fill(byId("gauges"), ...this._gauges.map((gauge) => gauge.root));
    this._past = new Past(GAUGES.map(({ name }) => name), () => this._draw());
    this._changes = new Changes();
    this._moment = element("p", { class: "summary muted" });
    fill(byId("range"), this._past.root, this._moment);
    this._figures = new Figures();
    this._loggedIn = new LoggedIn();
    for (const kind of ["setting", "refusal", "health"]) live.addEventListener(kind, () => this._past.readChanges());
    live.addEventListener("counters", (event) => this._show(/** @type {CustomEvent<Moment>} */ (event).detail));
  }

  show() {
    this._past.start();
  }

  hide() {
    this._past.stop();
  }

  /** @param {Moment} moment */
  _show(moment) {
    this._history.add(Date.now() / 1000, moment);
    for (const gauge of this._gauges) gauge.show(this._history, moment);
    this._figures.show(this._history, moment);
    this._loggedIn.show(moment);
    setText(this._moment, `All figures are of ${secondOf(new Date(moment.at))}`);
    this._draw();
  }

  _draw() {
    for (const gauge of this._gauges) gauge.draw(this._history, this._past);
    this._changes.show(this._past);
  }
}

/** A figure, and the chart of what it was. */
class Gauge {
  /** @param {GaugeOptions} options */
  constructor(options) {
    this._options = options;
    this._value = element("span", {}, "–");
    this._unit = element("span", { class: "unit" });
    this._note = element("p", { class: "gauge-note" });
    this._place = element("div", { class: "chart", role: "img" });
    this._text = "";
    this._now = "–";
    this._isPointedAt = false;
    this._momentOf = secondOf;
    this.root = element(
      "article",
      { class: "card gauge", "data-gauge": options.name },
      element("h2", { class: "gauge-title" }, options.isRate ? `${options.title} a second` : options.title),
      element("p", { class: "figure" }, this._value, " ", this._unit),
      this._note,
      this._place,
    );
    this._chart = new Chart(this._place, {
      tick: (value) => options.parts(value).join(" ").replace(/\/s$| per s$|\.0\b/g, ""),
      least: options.least,
      isWhole: !options.isRate,
      onPoint: (point) => this._point(point),
    });
  }

  /** @param {History} history @param {Moment} moment */
  show(history, moment) {
    const { name, isRate, parts, note } = this._options;
    const [figure, unit] = parts(isRate ? history.rate(name) : moment[name]);
    setText(this._value, figure);
    setText(this._unit, unit);
    this._text = note(moment);
    this._now = `${figure} ${unit}`.trim();
    if (!this._isPointedAt) setText(this._note, this._text);
  }

  /** @param {History} history @param {Past} past */
  draw(history, past) {
    const { name, isRate, parts, title } = this._options;
    const known = past.line(name, isRate);
    const data = past.isUntilNow ? history.line(name, isRate, known) : known;
    this._momentOf = past.isUntilNow ? secondOf : momentOf;
    this._chart.show(data, past.range.seconds, past.changes);
    const most = data[1].reduce((/** @type {number} */ one, other) => Math.max(one, other ?? 0), 0);
    const words = `${title}: now ${this._now}, at most ${parts(most).join(" ").trim()} in ${past.range.words}`;
    this._place.setAttribute("aria-label", words);
  }

  /** @param {import("./charts.js").Point | null} point */
  _point(point) {
    this._isPointedAt = point !== null;
    setText(this._note, point ? this._words(point) : this._text);
  }

  /** @param {import("./charts.js").Point} point */
  _words({ at, value, change }) {
    const what = change ? change.text : this._options.parts(value ?? 0).join(" ").trim();
    return `${what} at ${this._momentOf(at)}`;
  }
}

/** The changes that the charts mark, for those who do not point at them. */
class Changes {
  constructor() {
    this._root = byId("changes");
    this._summary = element("summary", {});
    this._list = element("ul", {});
    fill(this._root, this._summary, this._list);
    this._shown = "";
  }

  /** @param {Past} past */
  show({ changes, range }) {
    const lines = changes.map(({ at, text }) => `${momentOf(new Date(at * 1000))}: ${text}`);
    const shown = lines.join("\n");
    if (shown === this._shown) return;
    this._shown = shown;
    this._root.hidden = lines.length === 0;
    setText(this._summary, `${counted(lines.length, "change")} in ${range.words}`);
    fill(this._list, ...lines.map((line) => element("li", {}, line)));
  }
}

/** The counters: their growth in the last minute, and their sums. */
class Figures {
  constructor() {
    this._period = element("th", { scope: "col", class: "numeric" }, "Last minute");
    /** @type {Map<keyof Counters, [HTMLElement, HTMLElement]>} */
    this._cells = new Map();
    const head = element(
      "tr",
      {},
      element("td", {}, element("span", { class: "visually-hidden" }, "Counter")),
      this._period,
      element("th", { scope: "col", class: "numeric" }, "So far"),
    );
    const rows = FIGURES.map(({ title, name }) => {
      const growth = element("td", { class: "numeric", "data-growth": name }, "–");
      const total = element("td", { class: "numeric", "data-total": name }, "–");
      this._cells.set(name, [growth, total]);
      return element("tr", {}, element("th", { scope: "row" }, title), growth, total);
    });
    const table = element("table", { class: "figures-table" }, element("thead", {}, head), element("tbody", {}, ...rows));
    fill(byId("figures"), table);
  }

  /** @param {History} history @param {Counters} counters */
  show(history, counters) {
    for (const { name, show } of FIGURES) {
      const [growth, total] = /** @type {[HTMLElement, HTMLElement]} */ (this._cells.get(name));
      setText(growth, show(history.growth(name, MINUTE).growth));
      setText(total, show(counters[name]));
    }
    const known = history.growth("retrieved_bytes", MINUTE).seconds;
    // The page knows only the samples that it has received.
    setText(this._period, known > MINUTE - 2 ? "Last minute" : `Last ${Math.max(1, Math.round(known))} s`);
  }
}

/** The names of those who are logged in. */
class LoggedIn {
  constructor() {
    this._shown = "";
  }

  /** @param {Moment} moment */
  show({ logged_in_users: many, users }) {
    const shown = [many, ...users].join("\n");
    if (shown === this._shown) return;
    this._shown = shown;
    setText(byId("logged-in-title"), many ? `Logged in (${count(many)})` : "Logged in");
    if (many === 0) {
      fill(byId("logged-in"), element("p", { class: "muted" }, "Nobody is logged in."));
      return;
    }
    const rest = many - users.length;
    const more = rest > 0 && element("p", { class: "muted" }, `and ${counted(rest, "other")}`);
    fill(byId("logged-in"), element("ul", { class: "names" }, ...users.map((name) => element("li", {}, name))), more);
  }
}
