/** Makes elements, and finds those of the page. Text is always set as text, never as markup. */

/** How long an announcement is to be read, in milliseconds. */
const ANNOUNCED = 6000;

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | ((event: any) => void) | null | undefined>} [attributes]
 *   functions listen to the event of that name; `true` sets an empty attribute, `false` and null none
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      made.addEventListener(name, value);
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value === true ? "" : String(value));
    }
  }
  made.append(...present(children));
  return made;
}

/**
 * @param {string} label
 * @param {() => void} click
 * @param {object} [more]
 * @param {string} [more.kind] how it looks: `small`, `primary`, `danger`
 * @param {import("./roles.js").Role} [more.needs] the role without which it is not there
 * @param {string} [more.name] for screen readers, where the label is not enough
 * @returns {HTMLButtonElement}
 */
export function button(label, click, { kind, needs, name } = {}) {
  const attributes = { type: "button", class: kind ? `button ${kind}` : "button", "data-needs": needs, "aria-label": name };
  return element("button", { ...attributes, click }, label);
}

/**
 * Replace the children of an element.
 * @param {Element} parent
 * @param {...Child} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren(...present(children));
}

/**
 * Replace the children of an element, unless they look the same: what is selected, or has the focus, stays.
 * @param {Element} parent
 * @param {...Child} children
 */
export function refill(parent, ...children) {
  const made = /** @type {Element} */ (parent.cloneNode(false));
  made.append(...present(children));
  if (!made.isEqualNode(parent)) parent.replaceChildren(...made.childNodes);
}

/**
 * Set an element's text, unless it is the same: screen readers would announce it again.
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * @param {string} id
 * @returns {HTMLElement} the element of the page with this id
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * Show a line over the page for a while, which screen readers announce.
 * @param {string} text
 */
export function announce(text) {
  const line = element("p", {}, text);
  byId("announcement").append(line);
  setTimeout(() => line.remove(), ANNOUNCED);
}

/** @param {Child[]} children @returns {(Node | string)[]} */
function present(children) {
  return /** @type {(Node | string)[]} */ (children.filter((child) => child || child === ""));
}
