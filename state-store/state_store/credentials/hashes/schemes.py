"""The schemes of password hashes: the form of each one's text, its cost, how a password is compared."""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import argon2
import argon2.low_level
import bcrypt

from state_store.credentials import scram
from state_store.credentials.hashes import crypt_library

MAX_ROUNDS = 1_000_000
"""Of SHA-crypt, PBKDF2 and SCRAM: at most a second of a slow core, as all limits of cost here."""

MOST_DECOY_ROUNDS = 2 * MAX_ROUNDS

LEAST_BCRYPT_COST = 4
MAX_BCRYPT_COST = 14
MAX_ARGON2_KIBIBYTES = 128 * 1024
MAX_ARGON2_WORK_KIBIBYTES = 1024 * 1024
"""Memory times passes."""

MAX_ARGON2_LANES = 16

BCRYPT_OCTETS = 72
"""Libraries ignored the rest of a longer password until 2025; the one of today refuses such passwords."""

_Found = re.Match[str]
_Fits = Callable[[bytes, _Found], bool]


class TooCostly(ValueError):
    """A check of the hash would take too long or too much memory; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """One scheme.

    `cost` returns the parameters that decide how long a check takes, as a text without spaces: empty where it
    takes microseconds. `decoy` returns a hash of that cost that fits nothing, so that others can be made to
    wait for as long; none for schemes without a cost.
    """

    form: re.Pattern[str]
    """Of the whole text of a hash."""
    fits: _Fits
    cost: Callable[[_Found], str] = lambda _: ""
    decoy: Callable[[str], str] | None = None
    is_weak: bool = False
    """Whether a thief of the hash would soon have the password."""
    least_rounds: int = 0
    """Over 0: the cost is a number of rounds, of which a hash has at least so many."""


def cost(scheme: str, text: str) -> str:
    """Return what a check of this hash costs (`Scheme.cost`).

    Raises `TooCostly`, and `ValueError` for a text that is no hash of this scheme.
    """
    found = SCHEMES[scheme].form.fullmatch(text)
    if found is None:
        raise ValueError(f"it is no hash of the scheme {scheme}")
    return SCHEMES[scheme].cost(found)


def fits(scheme: str, password: str, text: str) -> bool:
    """Return whether a hash's text is that of `password`. It may take a second, and raises nothing."""
    octets = password.encode("utf-8", "surrogatepass")
    found = SCHEMES[scheme].form.fullmatch(text)
    # C functions would stop at a zero octet, and take what stands before it for the password.
    if found is None or b"\0" in octets:
        return False
    try:
        return SCHEMES[scheme].fits(octets, found)
    except ValueError:  # a salt, or base64, that a library does not take
        return False


def digest_octets(scheme: str) -> int:
    """Return how many octets the digest of a scheme in `DIGESTS` has."""
    return hashlib.new(DIGESTS[scheme][0], usedforsecurity=False).digest_size


def digest_text(scheme: str, raw: bytes) -> str:
    """Return the text of a hash whose octets are `raw`, of a scheme in `DIGESTS`."""
    return raw.hex() if scheme == "PLAIN-MD5" else base64.b64encode(raw).decode()


DIGESTS: Mapping[str, tuple[str, bool]] = {
    "SSHA512": ("sha512", True),
    "SSHA256": ("sha256", True),
    "SSHA": ("sha1", True),
    "SMD5": ("md5", True),
    "SHA512": ("sha512", False),
    "SHA256": ("sha256", False),
    "SHA": ("sha1", False),
    "PLAIN-MD5": ("md5", False),
    "LDAP-MD5": ("md5", False),
}
"""Schemes that are one digest: its algorithm, and whether a salt follows it."""


def _number(found: _Found, group: str, most: int, of_what: str, default: int = 0) -> int:
    # The length first: a number of a million digits would take its time too.
    digits = found[group] if found[group] is not None else str(default)
    if len(digits) > len(str(most)) + 1 or int(digits) > most:
        raise TooCostly(f"it would take too long to check: at most {most:,} {of_what}")
    return int(digits)


def _argon2_cost(found: _Found) -> str:
    memory = _number(found, "m", MAX_ARGON2_KIBIBYTES, "KiB of memory")
    passes = _number(found, "t", MAX_ARGON2_WORK_KIBIBYTES, "passes")
    lanes = _number(found, "p", MAX_ARGON2_LANES, "lanes")
    if memory * passes > MAX_ARGON2_WORK_KIBIBYTES:
        raise TooCostly(
            f"it would take too long to check: at most {MAX_ARGON2_WORK_KIBIBYTES:,} KiB times passes"
        )
    return f"{memory},{passes},{lanes}"


def _argon2_decoy(variant: str, cost: str) -> str:
    memory, passes, lanes = cost.split(",")
    return f"${variant}$v=19$m={memory},t={passes},p={lanes}${'A' * 22}${'A' * 43}"


def _fits_argon2(password: bytes, found: _Found) -> bool:
    variant = argon2.low_level.Type.ID if found[0].startswith("$argon2id$") else argon2.low_level.Type.I
    try:
        return argon2.low_level.verify_secret(found[0].encode(), password, variant)
    except argon2.exceptions.VerificationError:
        return False


def _argon2(variant: Literal["argon2i", "argon2id"]) -> Scheme:
    form = (
        rf"\${variant}\$v=19\$m=(?P<m>\d+),t=(?P<t>[1-9]\d*),p=(?P<p>[1-9]\d*)"
        r"\$[+/A-Za-z0-9]{11,64}\$[+/A-Za-z0-9]{16,86}"
    )
    return Scheme(re.compile(form, re.ASCII), _fits_argon2, _argon2_cost, partial(_argon2_decoy, variant))


def _bcrypt_cost(found: _Found) -> str:
    if int(found["cost"]) < LEAST_BCRYPT_COST:
        raise ValueError("bcrypt has no such cost")
    return str(_number(found, "cost", MAX_BCRYPT_COST, "as bcrypt's cost"))


def _fits_bcrypt(password: bytes, found: _Found) -> bool:
    return bcrypt.checkpw(password[:BCRYPT_OCTETS], found[0].encode())


def _rounds(found: _Found, default: int = 0) -> str:
    return str(_number(found, "rounds", MAX_ROUNDS, "rounds", default))


def _crypt_rounds(found: _Found) -> str:
    return _rounds(found, 5000)


def _fits_crypt(password: bytes, found: _Found) -> bool:
    return crypt_library.fits(password, found[0])


def _sha_crypt(mark: str, digest_characters: int) -> Scheme:
    form = (
        rf"\${mark}\$(?:rounds=(?P<rounds>[1-9]\d{{3,}})\$)?[^$:\s]{{0,16}}"
        rf"\$[./A-Za-z0-9]{{{digest_characters}}}"
    )

    def decoy(cost: str) -> str:
        return f"${mark}$rounds={cost}${'.' * 16}${'.' * digest_characters}"

    return Scheme(re.compile(form, re.ASCII), _fits_crypt, _crypt_rounds, decoy, least_rounds=1000)


def _md5_crypt(mark: str) -> Scheme:
    def decoy(_: str) -> str:
        return f"${mark}${'.' * 8}${'.' * 22}"

    form = re.compile(rf"\${mark}\$[^$:\s]{{0,8}}\$[./A-Za-z0-9]{{22}}", re.ASCII)
    return Scheme(form, _fits_crypt, lambda _: "1000", decoy, is_weak=True)


def _fits_digest(algorithm: str, is_hexadecimal: bool, password: bytes, found: _Found) -> bool:
    raw = bytes.fromhex(found[0]) if is_hexadecimal else base64.b64decode(found[0], validate=True)
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size
    made = hashlib.new(algorithm, password + raw[size:], usedforsecurity=False).digest()
    return hmac.compare_digest(made, raw[:size])


def _digest(scheme: str) -> Scheme:
    algorithm, is_salted = DIGESTS[scheme]
    size = digest_octets(scheme)
    is_hexadecimal = scheme == "PLAIN-MD5"
    most = 4 * ((size + 66) // 3) if is_salted else 4 * ((size + 2) // 3)
    form = (
        rf"[0-9a-f]{{{2 * size}}}"
        if is_hexadecimal
        else rf"[+/A-Za-z0-9]{{{size}}}[+/=A-Za-z0-9]{{0,{most - size}}}"
    )
    return Scheme(re.compile(form), partial(_fits_digest, algorithm, is_hexadecimal), is_weak=not is_salted)


def _fits_dovecot_pbkdf2(password: bytes, found: _Found) -> bool:
    made = hashlib.pbkdf2_hmac("sha1", password, found["salt"].encode(), int(found["rounds"]))
    return hmac.compare_digest(made.hex(), found["hash"])


def _fits_pbkdf2(algorithm: str, password: bytes, found: _Found) -> bool:
    wanted = _unpadded(found["hash"])
    made = hashlib.pbkdf2_hmac(
        algorithm, password, _unpadded(found["salt"]), int(found["rounds"]), len(wanted)
    )
    return hmac.compare_digest(made, wanted)


def _pbkdf2_cost(found: _Found) -> str:
    for part in ("salt", "hash"):
        _unpadded(found[part])  # raises for what is no base64
    return _rounds(found)


def _unpadded(text: str) -> bytes:
    """Return the octets of base64 without padding; passlib writes `.` for `+`."""
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)


def _pbkdf2(algorithm: Literal["sha1", "sha256", "sha512"], names: str, digest_characters: int) -> Scheme:
    # Not over one digest: PBKDF2 would take its rounds again for each further one.
    form = (
        rf"\$pbkdf2{names}\$(?:i=)?(?P<rounds>[1-9]\d*)(?:,l=\d{{1,3}})?"
        rf"\$(?P<salt>[./+A-Za-z0-9]{{1,128}})={{0,2}}\$(?P<hash>[./+A-Za-z0-9]{{16,{digest_characters}}})={{0,2}}"
    )

    def decoy(cost: str) -> str:
        return f"$pbkdf2-{algorithm}${cost}${'.' * 22}${'.' * digest_characters}"

    return Scheme(
        re.compile(form, re.ASCII), partial(_fits_pbkdf2, algorithm), _pbkdf2_cost, decoy, least_rounds=1
    )


def _scram_cost(found: _Found) -> str:
    return f"{_rounds(found)},{len(base64.b64decode(found['salt'], validate=True))}"


def _scram_decoy(cost: str) -> str:
    rounds, salt_octets = cost.split(",")
    keys = base64.b64encode(bytes(32)).decode()
    return f"{rounds},{base64.b64encode(bytes(int(salt_octets))).decode()},{keys},{keys}"


def _fits_scram(password: bytes, found: _Found) -> bool:
    return scram.fits(scram_verifier(found[0]), password.decode("utf-8", "surrogatepass"))


def scram_verifier(text: str) -> str:
    """Return the verifier that a hash of the scheme SCRAM-SHA-256 is."""
    rounds, salt, stored_key, server_key = text.split(",")
    return f"{scram.MECHANISM}${rounds}:{salt}${stored_key}:{server_key}"


def scram_hash(verifier: str) -> str:
    """Return the hash of the scheme SCRAM-SHA-256 that a verifier is."""
    return verifier.partition("$")[2].replace(":", ",").replace("$", ",")


def _fits_hmail(password: bytes, found: _Found) -> bool:
    salt, wanted = found[0][:6], found[0][6:]
    return hmac.compare_digest(hashlib.sha256(salt.encode() + password).hexdigest(), wanted)


SCHEMES: Mapping[str, Scheme] = {
    "ARGON2ID": _argon2("argon2id"),
    "ARGON2I": _argon2("argon2i"),
    "BLF-CRYPT": Scheme(
        re.compile(r"\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}", re.ASCII),
        _fits_bcrypt,
        _bcrypt_cost,
        lambda cost: f"$2b${int(cost):02}${'.' * 53}",
    ),
    "SHA512-CRYPT": _sha_crypt("6", 86),
    "SHA256-CRYPT": _sha_crypt("5", 43),
    # 64 MiB at most: N up to 2**14, r up to 32.
    "YESCRYPT": Scheme(
        re.compile(r"\$y\$(?P<cost>j[./0-9AB][./0-9A-T])\$[./A-Za-z0-9]{1,86}\$[./A-Za-z0-9]{43}"),
        _fits_crypt,
        lambda found: found["cost"],
        lambda cost: f"$y${cost}${'.' * 22}${'.' * 43}",
    ),
    "MD5-CRYPT": _md5_crypt("1"),
    "APR1-CRYPT": _md5_crypt("apr1"),
    "DES-CRYPT": Scheme(
        re.compile(r"[./A-Za-z0-9]{13}"), _fits_crypt, lambda _: "25", lambda _: "." * 13, is_weak=True
    ),
    "PBKDF2-SHA512": _pbkdf2("sha512", "-sha512", 86),
    "PBKDF2-SHA256": _pbkdf2("sha256", "-sha256", 43),
    "PBKDF2-SHA1": _pbkdf2("sha1", "(?:-sha1)?", 27),
    "PBKDF2": Scheme(
        re.compile(r"\$1\$(?P<salt>[^$\s]{1,64})\$(?P<rounds>[1-9]\d*)\$(?P<hash>[0-9a-f]{40})", re.ASCII),
        _fits_dovecot_pbkdf2,
        _rounds,
        lambda cost: f"$1${'.' * 16}${cost}${'0' * 40}",
        least_rounds=1,
    ),
    "SCRAM-SHA-256": Scheme(
        re.compile(
            r"(?P<rounds>[1-9]\d*),(?P<salt>[+/=A-Za-z0-9]{4,84}),[+/A-Za-z0-9]{43}=,[+/A-Za-z0-9]{43}=",
            re.ASCII,
        ),
        _fits_scram,
        _scram_cost,
        _scram_decoy,
    ),
    "HMAIL-SHA256": Scheme(re.compile(r"[0-9a-f]{70}"), _fits_hmail),
    **{name: _digest(name) for name in DIGESTS},
}
"""Every scheme by its name, which is Dovecot's where it has one."""
