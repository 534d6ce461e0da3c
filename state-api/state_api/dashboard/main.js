/** The page: the sign-in, the view that is shown, and whether its figures are up to date. */

import { Access } from "./access.js";
import { Activity } from "./activity.js";
import { condition as serverCondition, get, Problem, request, useToken } from "./api.js";
import { Audit } from "./audit.js";
import { announce, byId, setText } from "./dom.js";
import { Health, HealthSign } from "./health.js";
import { Instances } from "./instances.js";
import { Live } from "./live.js";
import { Moves } from "./moves.js";
import { Overview } from "./overview.js";
import { Refusals } from "./refusals.js";
import { useRole } from "./roles.js";
import { Sessions } from "./sessions.js";
import { SettingsForm } from "./settings.js";
import { SignIn } from "./sign-in.js";
import { secondOf } from "./units.js";
import { UserPage } from "./user.js";
import { Users } from "./users.js";

/** @typedef {{show: (about: string) => void, hide: () => void}} View */

/** Milliseconds until the server is asked again who is signed in, after it could not say. */
const RETRY = 2000;

const live = new Live();
const healthSign = new HealthSign(live);
const signIn = new SignIn((signedIn) => enter(signedIn));

/** @type {Map<string, View>} */
const views = new Map();
let current = "";
/** What the view that is shown is about, such as a user's name; encoded as in the address. */
let about = "";
let isInside = false;

/** @param {import("./sign-in.js").SignedIn} signedIn */
function enter({ administrator, role, csrf_token: token }) {
  useToken(token);
  useRole(role);
  signIn.hide();
  if (views.size === 0) makeViews();
  setText(byId("administrator"), role === "all" ? administrator : `${administrator} (${role})`);
  byId("app").hidden = false;
  isInside = true;
  live.open();
  healthSign.show();
  showCondition();
  showView();
  readVersion();
}

/** @param {string} why */
function leave(why) {
  if (!isInside) return;
  isInside = false;
  useToken("");
  live.close();
  healthSign.hide();
  views.get(current)?.hide();
  current = "";
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  byId("app").hidden = true;
  signIn.show(why);
}

function makeViews() {
  views.set("overview", new Overview(live));
  views.set("health", new Health(live));
  views.set("sessions", new Sessions());
  views.set("instances", new Instances());
  views.set("refusals", new Refusals());
  views.set("users", new Users());
  views.set("user", new UserPage());
  views.set("moves", new Moves());
  views.set("settings", new SettingsForm(live));
  views.set("access", new Access());
  views.set("audit", new Audit());
  new Activity(live);
}

/** Show the view that the address names. */
function showView() {
  if (!isInside) return;
  const [named, ...rest] = location.hash.slice(1).split("/");
  const wanted = views.has(named) ? named : "overview";
  if (wanted === current && rest.join("/") === about) return;
  about = rest.join("/");
  const isFirst = current === "";
  views.get(current)?.hide();
  current = wanted;
  for (const name of views.keys()) byId(name).hidden = name !== wanted;
  for (const link of byId("navigation").querySelectorAll("a")) {
    if (link.hash === (wanted === "user" ? "#users" : `#${wanted}`)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = byId(`${wanted}-title`);
  views.get(wanted)?.show(about);
  document.title = `${title.textContent} – Peep`;
  window.scrollTo(0, 0);
  // For people with a keyboard or a screen reader.
  if (!isFirst) title.focus();
}

function showCondition() {
  const [word, text] = condition();
  document.documentElement.dataset.condition = live.isFresh ? "live" : live.isAway ? "away" : "connecting";
  setText(byId("condition-text"), word);
  setText(byId("notice"), text);
}

/** @returns {[string, string]} a word, and what it means where it is bad news */
function condition() {
  const since = live.lastFigures ? ` The figures are those of ${secondOf(live.lastFigures)}.` : "";
  if (live.stream === "lost") return ["Disconnected", `The server sends no events; trying again.${since}`];
  if (!live.store) return ["Redis away", `Redis does not answer: nobody can log in, and nothing can be changed.${since}`];
  return [live.isFresh ? "Live" : "Connecting", ""];
}

async function readVersion() {
  try {
    setText(byId("version"), (await get("v1/version")).version);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
}

async function signOut() {
  try {
    await request("DELETE", "session");
    leave("");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    announce(error.message);
  }
}

async function begin() {
  try {
    enter((await request("GET", "session")).body);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) {
      signIn.show();
      return;
    }
    signIn.show(error.message);
    setTimeout(() => isInside || begin(), RETRY);
  }
}

live.addEventListener("condition", showCondition);
// What could not be read meanwhile is read now.
live.addEventListener("back", () => views.get(current)?.show(about));
serverCondition.addEventListener("signed-out", () => leave("You are signed out: the sign-in has expired, or the password was changed."));
byId("sign-out").addEventListener("click", signOut);
byId("skip").addEventListener("click", (event) => {
  // Not by the address: its hash names the view.
  event.preventDefault();
  byId("main").focus();
});
addEventListener("hashchange", showView);
begin();
