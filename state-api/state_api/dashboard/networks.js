/** Addresses and networks, IPv4 and IPv6. All pure. */

/** @typedef {{bits: 32 | 128, value: bigint}} Address */
/** @typedef {{address: Address, prefix: number}} Network */

/** @param {string} text such as "192.0.2.7", "192.0.2.0/24" or "2001:db8::/32" @returns {Network | null} null where it is none */
export function networkOf(text) {
  const [first, length, ...more] = text.split("/");
  const address = addressOf(first);
  if (!address || more.length || (length !== undefined && !/^\d{1,3}$/.test(length))) return null;
  const prefix = length === undefined ? address.bits : Number(length);
  return prefix <= address.bits ? { address, prefix } : null;
}

/** @param {string} text @param {Network} network @returns {boolean} whether the address is in the network */
export function isIn(text, { address, prefix }) {
  const found = addressOf(text);
  if (!found || found.bits !== address.bits) return false;
  const rest = BigInt(address.bits - prefix);
  return found.value >> rest === address.value >> rest;
}

/** @param {string} text @returns {Address | null} */
function addressOf(text) {
  if (text.includes(":")) return sixOf(text);
  const octets = text.split(".");
  if (octets.length !== 4 || !octets.every((octet) => /^\d{1,3}$/.test(octet) && Number(octet) < 256)) return null;
  return { bits: 32, value: BigInt(`0x${octets.map((octet) => hexadecimal(Number(octet), 2)).join("")}`) };
}

/** @param {string} text @returns {Address | null} */
function sixOf(text) {
  let host;
  try {
    // The browser knows all the ways to write one, and gives back the shortest.
    host = new URL(`http://[${text.replace(/%.*$/, "")}]/`).hostname.slice(1, -1);
  } catch {
    return null;
  }
  const [left, right] = host.split("::").map((half) => (half ? half.split(":") : []));
  const groups = right ? [...left, ...Array(8 - left.length - right.length).fill("0"), ...right] : left;
  return { bits: 128, value: BigInt(`0x${groups.map((group) => hexadecimal(parseInt(group, 16), 4)).join("")}`) };
}

/** @param {number} value @param {number} digits */
function hexadecimal(value, digits) {
  return value.toString(16).padStart(digits, "0");
}
