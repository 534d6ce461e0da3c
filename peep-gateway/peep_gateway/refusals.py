"""How the state store's errors are told over PEEP: one table, and nobody else makes replies of errors."""

from collections.abc import Mapping

from peep_gateway.protocol.replies import NegativeCode, negative
from state_store.errors import (
    MailDirectoryRefused,
    SlowedDown,
    StoreEmptied,
    StoreUnavailable,
    UnknownSession,
    UnknownSlowDown,
    UnknownUser,
    UserExists,
)

NEGATIVE_CODES: Mapping[type[Exception], NegativeCode] = {
    StoreEmptied: NegativeCode.SERVICE_UNAVAILABLE,
    StoreUnavailable: NegativeCode.SERVICE_UNAVAILABLE,
    UserExists: NegativeCode.USER_EXISTS,
    UnknownUser: NegativeCode.UNKNOWN_USER,
    UnknownSession: NegativeCode.UNKNOWN_USER,
    UnknownSlowDown: NegativeCode.UNKNOWN_USER,
    SlowedDown: NegativeCode.SERVICE_UNAVAILABLE,
    MailDirectoryRefused: NegativeCode.INVALID_PATH,
}
"""Any other error is a bug and ends the session."""


def refusal(error: Exception) -> bytes:
    """Return the reply that tells an error of the store; raises any other error again."""
    code = NEGATIVE_CODES.get(type(error))
    if code is None:
        raise error
    return negative(code)
