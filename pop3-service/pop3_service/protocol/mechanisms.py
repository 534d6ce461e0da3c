"""The SASL mechanisms of AUTH (RFC 5034), each the dialogue of one attempt to log in.

A dialogue is a generator: it yields what has to be done, is sent the outcome, and returns the answer that
ends it. An initial response is the outcome of the empty challenge with which each dialogue begins.
"""

from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, TypeAlias

from pop3_service.protocol import replies, sasl
from pop3_service.protocol.intentions import (
    BeginScram,
    Challenge,
    FinishScram,
    Intention,
    LogIn,
    OpenMaildrop,
    Outcome,
)
from pop3_service.protocol.replies import LoginRefusal

Ending: TypeAlias = bytes | LogIn | OpenMaildrop | LoginRefusal
Dialogue: TypeAlias = Generator[Intention[Any], Any, Ending]

_EMPTY_CHALLENGE: Final = Challenge(sasl.challenge())


def _plain() -> Dialogue:
    message = sasl.plain_message((yield from _done(_EMPTY_CHALLENGE)))
    if message is None:
        return replies.MALFORMED_RESPONSE
    # A request for another user's rights is refused as an unknown name: no user name contains a slash. It
    # takes as long as any other wrong login, and is counted and logged as one.
    identity, username = message.authorization_identity, message.username
    name = username if identity in ("", username) else f"{identity}/{username}"
    return LogIn(name, message.password, sasl.PLAIN)


def _scram_sha_256() -> Dialogue:
    opening = sasl.scram_message((yield from _done(_EMPTY_CHALLENGE)))
    if opening is None:
        return replies.MALFORMED_RESPONSE
    begun = yield from _done(BeginScram(opening))
    if begun is None:
        return replies.MALFORMED_RESPONSE
    if isinstance(begun, LoginRefusal):
        return begun
    closing = sasl.scram_message((yield from _done(_challenge(begun))))
    if closing is None:
        return replies.MALFORMED_RESPONSE
    proof = yield from _done(FinishScram(closing))
    if isinstance(proof, LoginRefusal):
        return proof
    # A positive reply cannot carry data, so the client answers with an empty line (RFC 5034, section 4).
    if (yield from _done(_challenge(proof.message))):
        return replies.MALFORMED_RESPONSE
    return OpenMaildrop(proof.username)


def _challenge(text: str) -> Challenge:
    return Challenge(sasl.challenge(text.encode()))


def _done(intention: Intention[Outcome]) -> Generator[Intention[Any], Any, Outcome]:
    outcome: Outcome = yield intention
    return outcome


DIALOGUES: Final[Mapping[str, Callable[[], Dialogue]]] = {
    sasl.PLAIN: _plain,
    sasl.SCRAM_SHA_256: _scram_sha_256,
}
"""By the mechanism's name: begins a dialogue."""
