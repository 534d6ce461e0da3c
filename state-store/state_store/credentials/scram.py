"""SCRAM-SHA-256 (RFC 5802, RFC 7677): the server's side of an exchange, and the stored verifier.

The library scramp does the mathematics. This module adds the text form of the verifier, authorization
identities, and exchanges for unknown names.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from scramp import ScramException, ScramMechanism  # type: ignore[import-untyped]
from scramp.core import ClientFirstBare, IterationCount, Salt, Username  # type: ignore[import-untyped]
from scramp.utils import h, hi, saslprep  # type: ignore[import-untyped]
from scramp.utils import hmac as keyed

from state_store.records import Credential

MECHANISM = "SCRAM-SHA-256"

ITERATIONS = 15_000
"""PBKDF2 costs the client, and a thief of the store for each guess, about 3 ms. RFC 7677 requires at least
4,096 and recommends 15,000, which a phone that fetches mail every few minutes does not notice."""

SALT_OCTETS = 16

MAX_MESSAGE_CHARACTERS = 1024
"""A name of 128 escaped octets, given twice, is under 800: this leaves room for nonces and extensions, and
keeps lines of 12 KiB away from SASLprep's tables."""

_CLIENT_FIRST = re.compile(r"(?P<header>(?P<flag>[ny]),(?:a=(?P<authzid>[^,]+))?,)(?P<bare>.+)", re.DOTALL)

_NAME = re.compile(r"n=(?P<name>[^,]+)")

_VERIFIER = re.compile(
    re.escape(MECHANISM)
    + r"\$(?P<iterations>[0-9]+):(?P<salt>[^$:]+)\$(?P<stored_key>[^$:]+):(?P<server_key>[^$:]+)"
)


class Shape(NamedTuple):
    """What a challenge shows of a verifier, and the share of the verifiers that are alike in it."""

    share: float
    iterations: int
    salt_octets: int


class ScramMalformed(Exception):
    """The first message cannot begin an exchange; the error's text says why, and never quotes the message."""


class ScramRefused(Exception):
    """The last message does not prove that its sender knows the password."""


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """A client's first message, taken apart (RFC 5802, section 7: `client-first-message`)."""

    header: str
    bare: str
    username: str

    @classmethod
    def parse(cls, text: str) -> "ClientFirst":
        """Return the message's parts; raises `ScramMalformed`.

        The flags `n` and `y` are taken. Channel binding (`p=`) is refused, and so is an authorization
        identity other than the user name.
        """
        if len(text) > MAX_MESSAGE_CHARACTERS:
            raise ScramMalformed("too long")
        if text.startswith("p="):
            raise ScramMalformed("channel binding is not offered")
        found = _CLIENT_FIRST.fullmatch(text)
        if found is None:
            raise ScramMalformed("not a SCRAM message")
        bare, authorization = _with_preparable_names(found["bare"], found["authzid"])
        try:
            username = str(ClientFirstBare(bare)["n"])
            is_own = authorization is None or str(Username.from_escaped(authorization)) == username
        except ScramException:
            raise ScramMalformed("not a SCRAM message") from None
        if not is_own:
            raise ScramMalformed("the authorization identity must be the user name")
        return cls(found["header"], bare, username)


def _with_preparable_names(bare: str, authorization: str | None) -> tuple[str, str | None]:
    """Return the bare message and the authorization identity with names that SASLprep accepts.

    SASLprep knows the Unicode of 2002. A name with later characters, which no user has, is replaced by one
    that no user can have: it is then refused like any unknown name, not as malformed.
    """
    found = _NAME.match(bare)
    if found is None or found["name"].isascii():
        return bare, authorization
    name = found["name"]
    try:
        octets = name.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return bare, authorization
    try:
        saslprep(name)
    except ScramException:
        stand_in = "/" + hashlib.sha256(octets).hexdigest()
        return f"n={stand_in}{bare[found.end() :]}", stand_in if authorization == name else authorization
    return bare, authorization


class ScramExchange:
    """The server's side of one exchange: `challenge` goes to the client, `finish` takes its answer.

    `username` is the client's, prepared with SASLprep, which changes no name that Peep can have.
    `credential_version` is that of the credential whose verifier is used, and `is_of_somebody` says whether a
    user has this name.

    A name without a verifier, because it is unknown or has an imported hash, gets the same exchange with a
    made-up one, and is refused at its end. The made-up verifier depends on the name and the deployment's
    `secret`, so it is the same at every replica at all times: a salt that changed would reveal that there is
    no such user. Imported verifiers have other `shapes`: as large a share of unknown names gets each, and as
    users' verifiers are renewed, unknown names change to our shape like they do.
    """

    def __init__(
        self,
        client_first: ClientFirst,
        credential: Credential | None,
        secret: str,
        nonce: str | None = None,
        shapes: Iterable[Shape] = (),
    ) -> None:
        self.username = client_first.username
        kept = credential.scram_verifier if credential is not None else ""
        # Made up for every name and parsed in the same way, so that timing reveals nothing.
        made_up = _made_up_verifier(secret, self.username, shapes)
        keys = _keys(kept or made_up)
        is_real = bool(kept) and keys is not None
        self.is_of_somebody = credential is not None
        self.credential_version = credential.version if credential is not None and is_real else ""
        auth_info = keys or _keys(made_up)
        self._server = ScramMechanism(MECHANISM).make_server(lambda _: auth_info, s_nonce=nonce)
        self._server.set_client_first(f"n,,{client_first.bare}")
        # The library takes no authorization identity, and compares `c=` with what this gives.
        self._server.gs2_header = _Header(client_first.header)
        self.challenge: str = self._server.get_server_first()

    def finish(self, client_final: str) -> str:
        """Return the server's last message, which proves that it knew the password too.

        Raises `ScramRefused` for anything wrong with the client's message, and when called again.
        """
        if len(client_final) > MAX_MESSAGE_CHARACTERS:
            raise ScramRefused
        try:
            self._server.set_client_final(client_final)
            server_final: str = self._server.get_server_final()
        except (ScramException, UnicodeError):
            raise ScramRefused from None
        if not self.credential_version:
            raise ScramRefused
        return server_final


def new_verifier(password: str) -> str:
    """Return the verifier of `password` in the text form of RFC 5803, which takes about 3 ms.

    `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, the last three in base64. A password that
    SASLprep refuses, or makes empty, is taken unprepared, as clients that can send it do too.
    """
    salt = secrets.token_bytes(SALT_OCTETS)
    return _verifier(salt, *_stored_and_server_key(password, salt, ITERATIONS))


def fits(verifier: str, password: str) -> bool:
    """Return whether this is the verifier of `password`."""
    keys = _keys(verifier)
    if keys is None:
        return False
    stored_key, _ = _stored_and_server_key(password, keys.salt, keys.iterations)
    return hmac.compare_digest(stored_key, keys.stored_key)


def _stored_and_server_key(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    prepared = _prepared(password).encode("utf-8", "surrogatepass")
    salted_password = hi(hashlib.sha256, prepared, salt, iterations)
    stored_key = h(hashlib.sha256, keyed(hashlib.sha256, salted_password, b"Client Key"))
    return stored_key, keyed(hashlib.sha256, salted_password, b"Server Key")


class _Keys(NamedTuple):
    """A verifier's parts, in the order in which the library wants them."""

    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int


class _Header:
    """The client's header as it stood, with the authorization identity."""

    def __init__(self, header: str) -> None:
        self._header = header

    def make_cbind_input(self, _: Any) -> bytes:
        """Return the value of `c=` for a client without channel binding (RFC 5802, section 7)."""
        return self._header.encode()


def _prepared(password: str) -> str:
    try:
        return saslprep(password) or password
    except ScramException:
        return password


def _made_up_verifier(secret: str, username: str, shapes: Iterable[Shape]) -> str:
    def derived(purpose: str) -> bytes:
        return hmac.digest(secret.encode(), f"{purpose} {username}".encode(), "sha256")

    lot = int.from_bytes(derived("shape")[:8], "big") / 2**64
    shape = Shape(1, ITERATIONS, SALT_OCTETS)
    for one in shapes:
        if lot < one.share:
            shape = one
            break
        lot -= one.share
    salt = (derived("salt") + derived("more salt"))[: shape.salt_octets]
    return _verifier(salt, derived("stored key"), derived("server key"), shape.iterations)


def _verifier(salt: bytes, stored_key: bytes, server_key: bytes, iterations: int = ITERATIONS) -> str:
    salt_text, stored_text, server_text = (
        base64.b64encode(octets).decode() for octets in (salt, stored_key, server_key)
    )
    return f"{MECHANISM}${iterations}:{salt_text}${stored_text}:{server_text}"


def _keys(verifier: str) -> _Keys | None:
    """Return a verifier's parts, or None for a damaged one, which fits no password."""
    found = _VERIFIER.fullmatch(verifier)
    if found is None:
        return None
    try:
        keys = _Keys(
            bytes(Salt.from_str(found["salt"])),
            base64.b64decode(found["stored_key"], validate=True),
            base64.b64decode(found["server_key"], validate=True),
            int(IterationCount.from_str(found["iterations"])),
        )
    except (ScramException, binascii.Error):
        return None
    is_whole = len(keys.stored_key) == len(keys.server_key) == hashlib.sha256().digest_size
    return keys if is_whole else None
