/** Requests to state-api, and its errors. */

/** Dispatches what any answer says about the whole page: `signed-out`, `store-away`, `store-back`. */
export const condition = new EventTarget();

let csrfToken = "";
/** Whether the sign-in is about to go on with another cookie. */
let isRenewed = false;

/** An answer that is an error (RFC 9457), or none at all. */
export class Problem extends Error {
  /**
   * @param {number} status 0 when the server did not answer
   * @param {string} kind such as "user-exists"; empty where the status says it all
   * @param {string} detail
   * @param {{field: string, message: string}[]} [errors]
   */
  constructor(status, kind, detail, errors = []) {
    super(detail);
    this.status = status;
    this.kind = kind;
    this.errors = errors;
  }
}

/** @param {string} token what changes have to carry */
export function useToken(token) {
  csrfToken = token;
}

/**
 * Change what the sign-in hangs on. That a request is refused meanwhile, since it has the cookie of before, ends nothing.
 * @param {() => Promise<string>} change gives the token that changes have to carry from now on
 */
export async function renewing(change) {
  isRenewed = true;
  try {
    useToken(await change());
  } finally {
    isRenewed = false;
  }
}

/**
 * @param {string} path without a slash at its front: relative to where the page lies
 * @returns {Promise<any>} the body of the answer; throws `Problem`
 */
export async function get(path) {
  return (await request("GET", path)).body;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{body?: unknown, ifMatch?: string}} [extra]
 * @returns {Promise<{body: any, etag: string}>} throws `Problem`
 */
export async function request(method, path, { body, ifMatch } = {}) {
  const token = csrfToken;
  // Sent even when it is empty, and with a GET: so the server knows that the page sends the request, and
  // does not have the browser cover the page with a dialogue of its own.
  /** @type {Record<string, string>} */
  const headers = { "X-CSRF-Token": token };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (ifMatch) headers["If-Match"] = ifMatch;
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
    });
  } catch {
    throw unreachable();
  }
  if (!response.ok) throw await problemOf(response, token);
  if (path.startsWith("v1/")) condition.dispatchEvent(new Event("store-back"));
  const isEmpty = response.status === 204;
  try {
    return { body: isEmpty ? null : await response.json(), etag: response.headers.get("ETag") ?? "" };
  } catch {
    throw unreachable(); // it went away in the middle of its answer
  }
}

/** @returns {Problem} */
function unreachable() {
  return new Problem(0, "unreachable", "The server does not answer. Check that it runs, and your network.");
}

/** @param {string} name @returns {string} for use within a path */
export function segment(name) {
  return encodeURIComponent(name);
}

/** @param {Response} response @param {string} token what the request carried @returns {Promise<Problem>} */
async function problemOf(response, token) {
  /** @type {any} */
  let body = {};
  try {
    body = await response.json();
  } catch {
    // A proxy before the server may answer with something else; the status is enough.
  }
  const kind = String(body.type ?? "").split("#")[1] ?? "";
  const detail = body.detail ?? `The server answers with status ${response.status}.`;
  const problem = new Problem(response.status, kind, detail, body.errors);
  // The answer to a request of an earlier sign-in does not end this one.
  const isOfNow = token === csrfToken && !isRenewed;
  if (isOfNow && (kind === "signed-out" || kind === "unauthenticated")) condition.dispatchEvent(new Event("signed-out"));
  if (kind === "store-unavailable") condition.dispatchEvent(new Event("store-away"));
  return problem;
}
