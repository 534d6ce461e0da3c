"""Hashes that come from other servers: what administrators give, and what the store keeps of it."""

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from state_store.credentials import scram
from state_store.credentials.hashes import crypt_library, schemes
from state_store.credentials.hashes.schemes import DIGESTS, SCHEMES, TooCostly
from state_store.credentials.opaque_string import UnusablePassword, opaque_string
from state_store.records import Credential

MAX_CHARACTERS = 512
"""The longest text of a hash: SCRAM-SHA-256 with its salt, twice over."""

PLAIN = "PLAIN"

_ALIASES = {
    "CLEARTEXT": PLAIN,
    "CLEAR": PLAIN,
    "SHA1": "SHA",
    "BCRYPT": "BLF-CRYPT",
    "APR1-MD5": "APR1-CRYPT",
}
_EXPORTED_AS = {"YESCRYPT": "CRYPT", "APR1-CRYPT": "CRYPT"}
"""Schemes that Dovecot has no name for; the texts of their hashes tell them."""

SCRAM = "SCRAM-SHA-256"
_AND_VERIFIER = f" {{{SCRAM}}}"
_OWN_VERIFIERS = f"{SCRAM},{scram.ITERATIONS},{scram.SALT_OCTETS}"

_ANY_CRYPT = {"CRYPT", "MD5", ""}
"""Schemes that do not tell more than the text of the hash does."""

_BRACED = re.compile(
    r"\{(?P<scheme>[A-Za-z0-9-]+)(?:\.(?P<encoding>hex|b64|base64))?\}(?P<text>.*)", re.IGNORECASE
)

_KEPT = re.compile(r"\{(?P<scheme>[A-Z0-9-]+)[^}]*\}(?P<text>\S+)")


class UnusableHash(ValueError):
    """A hash cannot be taken; the message says why in a few words, and never quotes it."""


@dataclass(frozen=True, slots=True)
class ImportedHash:
    """A password's hash in another server's scheme, or a password in the clear (scheme `PLAIN`)."""

    scheme: str
    text: str = field(repr=False)
    rounds: int = 0
    """What a check costs, where that is a number of rounds; 0 for other schemes."""
    kind: str = ""
    """Scheme and cost, for example `BLF-CRYPT,12`. Rounds are given by the power of two that they reach: all
    hashes of one kind can be made to cost the same."""
    scram_verifier: str = field(default="", repr=False)
    """The verifier of the same password, where one is known; else empty."""

    @property
    def is_weak(self) -> bool:
        """Whether a thief of the hash would soon have the password."""
        return self.scheme == PLAIN or SCHEMES[self.scheme].is_weak

    @property
    def kept(self) -> str:
        """The text that the store keeps as a credential's hash; `kept_hash` reads it."""
        return f"{{{self.kind}}}{self.text}"

    def fits(self, password: str) -> bool:
        """Return whether this is the hash of `password`, after at most about a second."""
        return schemes.fits(self.scheme, password, self.text)


def imported_hash(given: str, *, allow_weak: bool = False) -> ImportedHash:
    """Return the hash that an administrator gives: `{SCHEME}text`, or a text whose scheme can be told.

    It may be followed by a space and our own SCRAM-SHA-256 hash of the same password, as `exported` has it.
    Raises `UnusableHash`.
    """
    if len(given) > MAX_CHARACTERS or not given.isprintable():
        raise UnusableHash(f"a hash has at most {MAX_CHARACTERS} printable characters")
    given, _, own_verifier = (
        given.partition(_AND_VERIFIER) if given.startswith("{ARGON2") else (given, "", "")
    )
    braced = _BRACED.fullmatch(given)
    name = braced["scheme"].upper() if braced else ""
    text = braced["text"] if braced else given
    encoding = (braced["encoding"] or "").lower() if braced else ""
    found = _hash_of(_ALIASES.get(name, name), text, encoding)
    if found.is_weak and not allow_weak:
        raise UnusableHash(
            f"{found.scheme} is weak: it is taken only with allow_weak (peepctl: --allow-weak)"
        )
    if found.scheme == "YESCRYPT" and not crypt_library.knows_yescrypt():
        raise UnusableHash("yescrypt needs libxcrypt, which this machine does not have")
    if own_verifier and _with_cost(SCRAM, own_verifier).kind == _OWN_VERIFIERS:
        found = replace(found, scram_verifier=schemes.scram_verifier(own_verifier))
    return found


def exported(credential: Credential) -> str:
    """Return a credential's hash as `imported_hash` and, where it knows the scheme, Dovecot take it.

    That of a suspended user is locked (`{SCHEME}!text`), so that no other server takes the password.
    """
    text = _unlocked(credential)
    return text.replace("}", "}!", 1) if credential.is_suspended else text


def _unlocked(credential: Credential) -> str:
    scheme = credential.scheme
    if is_imported(credential.password_hash):
        _, _, text = credential.password_hash.partition("}")
        return f"{{{_EXPORTED_AS.get(scheme, scheme)}}}{text}"
    own = f"{{{scheme}}}{credential.password_hash}"
    verifier = credential.scram_verifier
    return own + _AND_VERIFIER + schemes.scram_hash(verifier) if verifier else own


def kept_hash(kept: str) -> ImportedHash | None:
    """Return the hash that the store keeps as `kept`; None of one that must not be checked.

    That is one of our own, a damaged one, and one that nobody can have imported because it costs too much.
    """
    found = _KEPT.fullmatch(kept)
    if found is None or found["scheme"] not in SCHEMES:
        return None
    try:
        return _with_cost(found["scheme"], found["text"])
    except UnusableHash:
        return None


def is_imported(password_hash: str) -> bool:
    """Return whether a credential's hash is another server's."""
    return password_hash.startswith("{")


def spend_alike(password: str, kinds: Iterable[str], checked: ImportedHash | None) -> None:
    """Spend the time of checking a hash of each of these kinds; that of `checked` has been spent already.

    So a refusal takes as long for a user with any of these hashes as for one without.
    """
    for kind in kinds:
        scheme, _, cost = kind.partition(",")
        spent = checked if checked is not None and checked.kind == kind else None
        decoy = _decoy(scheme, cost, spent)
        if decoy:
            schemes.fits(scheme, password, decoy)


def _decoy(scheme: str, cost: str, spent: ImportedHash | None) -> str:
    """Return a hash that takes the time that is left to spend on a kind; empty for none."""
    known = SCHEMES.get(scheme)
    if known is None or known.decoy is None:
        return ""
    try:
        if known.least_rounds:
            rounds = int(cost) + known.least_rounds - (spent.rounds if spent is not None else 0)
            return known.decoy(str(rounds)) if rounds <= schemes.MOST_DECOY_ROUNDS else ""
        decoy = known.decoy(cost)
        schemes.cost(scheme, decoy)
    except ValueError:  # nobody can have imported hashes of this kind
        return ""
    return decoy if spent is None else ""


def _hash_of(scheme: str, text: str, encoding: str) -> ImportedHash:
    if scheme == PLAIN:
        return ImportedHash(PLAIN, _password(_text(_decoded(text, encoding)) if encoding else text))
    if not text or text[0] in "!*" or text == "x":
        raise UnusableHash("there is no password: the account is locked, or its hash is elsewhere")
    if scheme in DIGESTS:
        return _digest(scheme, text, encoding)
    if encoding:
        text = _text(_decoded(text, encoding))
    if scheme in _ANY_CRYPT:
        return _recognised(text)
    if scheme not in SCHEMES:
        raise UnusableHash("its scheme is not known")
    return _with_cost(scheme, text)


def _password(text: str) -> str:
    try:
        return opaque_string(text)
    except UnusablePassword as error:
        raise UnusableHash(f"the password {error}") from None


def _recognised(text: str) -> ImportedHash:
    for scheme, known in SCHEMES.items():
        if scheme not in DIGESTS and known.form.fullmatch(text):
            return _with_cost(scheme, text)
    if re.fullmatch(r"[0-9A-Fa-f]{32}", text):
        return _digest("PLAIN-MD5", text, "")
    if re.fullmatch(r"[+/A-Za-z0-9]{22}==", text):
        return _digest("LDAP-MD5", text, "")
    raise UnusableHash("its scheme cannot be told: give it as {SCHEME}")


def _digest(scheme: str, text: str, encoding: str) -> ImportedHash:
    size, is_salted = schemes.digest_octets(scheme), DIGESTS[scheme][1]
    is_hexadecimal = not is_salted and len(text) == 2 * size
    raw = _decoded(text, encoding or ("hex" if is_hexadecimal else "base64"))
    if len(raw) < size or (len(raw) > size) != is_salted:
        raise UnusableHash(f"it is no hash of the scheme {scheme}: its length is wrong")
    return _with_cost(scheme, schemes.digest_text(scheme, raw))


def _decoded(text: str, encoding: str) -> bytes:
    decode: Callable[[str], bytes] = bytes.fromhex if encoding == "hex" else _from_base64
    try:
        return decode(text)
    except (ValueError, binascii.Error):
        raise UnusableHash(f"it is not {'hexadecimal' if encoding == 'hex' else 'base64'}") from None


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise UnusableHash("its octets are not UTF-8") from None


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _with_cost(scheme: str, text: str) -> ImportedHash:
    try:
        cost = schemes.cost(scheme, text)
    except TooCostly as error:
        raise UnusableHash(str(error)) from None
    except ValueError:
        raise UnusableHash(f"it is no hash of the scheme {scheme}") from None
    if not SCHEMES[scheme].least_rounds:
        verifier = schemes.scram_verifier(text) if scheme == SCRAM else ""
        return ImportedHash(scheme, text, 0, f"{scheme},{cost}" if cost else scheme, verifier)
    rounds = int(cost)
    return ImportedHash(scheme, text, rounds, f"{scheme},{1 << (rounds - 1).bit_length()}")
