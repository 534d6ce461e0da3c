"""Carry out what an administrator asks over PEEP: requests in, one reply each out."""

from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar

import structlog

from peep_gateway.protocol.replies import Answer, NegativeCode, negative, positive
from peep_gateway.protocol.session import Request, Session
from state_store.authentication import Authenticator
from state_store.errors import (
    MailDirectoryRefused,
    StateError,
    StoreUnavailable,
    UnknownUser,
    UserExists,
)
from state_store.passwords import Passwords
from state_store.records import Counters
from state_store.repository import StateRepository

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

NEGATIVE_CODES: Mapping[type[StateError], NegativeCode] = {
    StoreUnavailable: NegativeCode.SERVICE_UNAVAILABLE,
    UserExists: NegativeCode.USER_EXISTS,
    UnknownUser: NegativeCode.UNKNOWN_USER,
    MailDirectoryRefused: NegativeCode.INVALID_PATH,
}
"""How the state store's errors are told; any other error is a bug and ends the session."""

_Method = Callable[..., Awaitable[Answer | NegativeCode]]


def _counter(value: Callable[[Counters], int]) -> _Method:
    async def read(administration: "Administration") -> int:
        return value(await administration.repository.counters())

    return read


class Administration:
    """What one session may do to the state; every change is logged with the administrator's name."""

    def __init__(
        self,
        repository: StateRepository,
        passwords: Passwords,
        session: Session,
        *,
        session_id: str,
        address: str,
    ) -> None:
        self.repository = repository
        self._passwords = passwords
        self._authenticator = Authenticator(repository, passwords)
        self._session = session
        self._address = address
        self._log = log.bind(session=session_id)

    async def carry_out(self, request: Request) -> bytes:
        """Return the reply to a request once it has been carried out.

        Raises what no client can bring about: a bug, or a `StateError` that no code stands for.
        """
        command = request.command
        if request.surplus_arguments:
            # In `u+ bob pass word` they were meant to be part of the password.
            self._log.warning(
                "surplus arguments ignored", command=command.commencement, count=request.surplus_arguments
            )
        try:
            answer = await self._METHODS[command.commencement](self, *request.arguments)
        except tuple(NEGATIVE_CODES) as error:
            return negative(NEGATIVE_CODES[type(error)])
        return negative(answer) if isinstance(answer, NegativeCode) else positive(command.reply, answer)

    async def _authenticate(self, name: str, password: str) -> NegativeCode | None:
        if await self._authenticator.check_administrator(name, password, self._address):
            self._session.authenticated(name)
            self._log.info("administrator logged in", administrator=name, address=self._address)
            return None
        self._session.refused()
        # Not the name: a slip of the hand may have put the password there.
        self._log.warning("administrator refused", address=self._address)
        return NegativeCode.WRONG_CREDENTIALS

    async def _add_user(self, username: str, password: str) -> None:
        await self.repository.add_user(username, await self._passwords.new_credential(password))
        self._note("user added", username=username)

    async def _remove_user(self, username: str) -> None:
        await self.repository.remove_user(username)
        self._note("user removed", username=username)

    async def _usernames(self) -> list[str]:
        return await self.repository.usernames()

    async def _logged_in_users(self) -> list[str]:
        return await self.repository.logged_in_users()

    async def _set_max_connections(self, limit: int) -> None:
        await self.repository.set_max_connections(limit)
        self._note("setting changed", max_connections=limit)

    async def _max_connections(self) -> int:
        return (await self.repository.settings()).max_connections

    async def _set_mail_directory(self, path: str) -> None:
        await self.repository.set_mail_directory(path)
        self._note("setting changed", mail_directory=path)

    async def _mail_directory(self) -> str:
        return (await self.repository.settings()).mail_directory

    async def _set_timeout(self, seconds: int) -> None:
        await self.repository.set_timeout(seconds)
        self._note("setting changed", timeout_seconds=seconds)

    async def _timeout(self) -> int:
        return (await self.repository.settings()).timeout_seconds

    def _note(self, event: str, **what: object) -> None:
        self._log.info(event, administrator=self._session.administrator, **what)

    _METHODS: ClassVar[Mapping[str, _Method]] = {
        "a": _authenticate,
        "u+": _add_user,
        "u-": _remove_user,
        "u?": _usernames,
        "c=": _set_max_connections,
        "c?": _max_connections,
        "m?": _mail_directory,
        "m=": _set_mail_directory,
        "t?": _timeout,
        "t=": _set_timeout,
        "rb?": _counter(lambda counters: counters.retrieved_bytes),
        "re?": _counter(lambda counters: counters.retrieved_emails),
        "xe?": _counter(lambda counters: counters.removed_emails),
        "cc?": _counter(lambda counters: counters.current_connections),
        "cu?": _logged_in_users,
        "hc?": _counter(lambda counters: counters.historical_connections),
        "hu?": _counter(lambda counters: counters.historical_logins),
    }
