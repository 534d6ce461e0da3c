/** The sign-in form. */

import { Problem, request } from "./api.js";
import { byId, setText } from "./dom.js";
import { Field, FieldSet } from "./forms.js";

/** @typedef {{administrator: string, role: import("./roles.js").Role, csrf_token: string}} SignedIn */

export class SignIn {
  /** @param {(signedIn: SignedIn) => void} onSignedIn */
  constructor(onSignedIn) {
    this._onSignedIn = onSignedIn;
    this._name = new Field({ name: "name", label: "Name", autocomplete: "username" });
    this._password = new Field({ name: "password", label: "Password", type: "password", autocomplete: "current-password" });
    this._set = new FieldSet([this._name, this._password]);
    byId("sign-in-fields").append(this._set.root);
    const form = byId("sign-in");
    this._button = /** @type {HTMLButtonElement} */ (form.querySelector("button[type=submit]"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this._submit();
    });
  }

  /** @param {string} [why] what to say above the button */
  show(why = "") {
    const entrance = byId("entrance");
    const isNew = entrance.hidden;
    entrance.hidden = false;
    document.title = "Sign in – Peep";
    if (isNew) this._set.clearErrors();
    setText(this._set.message, why);
    // Shown again while somebody is typing: the focus stays where it is.
    if (isNew) (this._name.value ? this._password : this._name).input.focus();
  }

  hide() {
    byId("entrance").hidden = true;
    this._password.value = "";
  }

  async _submit() {
    if (this._button.disabled) return;
    this._set.clearErrors();
    this._button.disabled = true;
    setText(this._button, "Signing in …");
    try {
      const body = { name: this._name.value, password: this._password.value };
      this._onSignedIn((await request("POST", "session", { body })).body);
    } catch (error) {
      this._set.showProblem(error);
      if (error instanceof Problem && error.status === 401) this._password.input.select();
    } finally {
      this._button.disabled = false;
      setText(this._button, "Sign in");
    }
  }
}
