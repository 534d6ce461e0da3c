"""The commands of the TRANSACTION state (RFC 1939, section 5), as functions of the maildrop."""

from collections.abc import Callable, Mapping
from typing import Final

from pop3_service.protocol import replies
from pop3_service.protocol.commands import COMMANDS, NUMBER, Argument
from pop3_service.protocol.intentions import SendMessage
from pop3_service.protocol.maildrop import Maildrop


def _scan_listing(maildrop: Maildrop, number: int | None = None) -> bytes:
    if number is None:
        return maildrop.scan_listing()
    message = maildrop.message(number)
    return _missing(maildrop, number) if message is None else b"+OK %d %d\r\n" % (number, message.octets)


def _unique_id_listing(maildrop: Maildrop, number: int | None = None) -> bytes:
    if number is None:
        return maildrop.unique_id_listing()
    message = maildrop.message(number)
    return _missing(maildrop, number) if message is None else b"+OK %d %b\r\n" % (number, message.unique_id)


def _retrieve(maildrop: Maildrop, number: int, body_lines: int | None = None) -> bytes | SendMessage:
    message = maildrop.message(number)
    return _missing(maildrop, number) if message is None else SendMessage(message, body_lines)


def _mark_deleted(maildrop: Maildrop, number: int) -> bytes:
    return replies.MARKED if maildrop.mark_deleted(number) else _missing(maildrop, number)


def _unmark_all(maildrop: Maildrop) -> bytes:
    maildrop.unmark_all()
    return maildrop.summary()


def _no_operation(_maildrop: Maildrop) -> bytes:
    return replies.OK


def _missing(maildrop: Maildrop, number: int) -> bytes:
    return replies.MESSAGE_IS_MARKED if maildrop.is_marked(number) else replies.NO_SUCH_MESSAGE


_Obey = Callable[..., bytes | SendMessage]

TRANSACTION_COMMANDS: Final[Mapping[str, _Obey]] = {
    "STAT": Maildrop.drop_listing,
    "LIST": _scan_listing,
    "UIDL": _unique_id_listing,
    "RETR": _retrieve,
    "TOP": _retrieve,
    "DELE": _mark_deleted,
    "RSET": _unmark_all,
    "NOOP": _no_operation,
}
"""By keyword: takes the maildrop and the arguments' values, returns the answer."""


def _taking(*arguments: Argument) -> dict[bytes, _Obey]:
    return {
        form: TRANSACTION_COMMANDS[command.keyword]
        for command in COMMANDS
        if command.keyword in TRANSACTION_COMMANDS
        and len(command.arguments) - command.optional <= len(arguments) <= len(command.arguments)
        and command.arguments[: len(arguments)] == arguments
        for form in (command.keyword.encode(), command.keyword.lower().encode())
    }


BARE_COMMANDS: Final = _taking()
"""Whole lines that are a command without arguments; nothing in them needs a check."""

NUMBERED_COMMANDS: Final = _taking(NUMBER)
"""By keyword, the commands that take the number of a message alone."""
