/** What the role of who is signed in allows. What needs more is not there: the style sheet hides `data-needs`. */

/** @typedef {"read" | "helpdesk" | "all"} Role */

/** @type {Role[]} each includes those before it */
export const ROLES = ["read", "helpdesk", "all"];

/** @param {Role} role */
export function useRole(role) {
  document.documentElement.dataset.role = role;
}

/** @param {Role} demanded @returns {boolean} whether the server would do what demands this role */
export function may(demanded) {
  const role = /** @type {Role} */ (document.documentElement.dataset.role ?? "read");
  return ROLES.indexOf(role) >= ROLES.indexOf(demanded);
}
