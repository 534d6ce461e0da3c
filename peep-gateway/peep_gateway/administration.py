"""Carry out what an administrator wants over PEEP: requests in, one reply each out.

What only looks at the state is not carried out here, but asked in `questions`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar

import structlog

from peep_gateway.protocol.replies import NegativeCode, negative, positive
from peep_gateway.protocol.session import Request, Session
from peep_gateway.refusals import refusal
from state_store.credentials.authentication import Authenticator
from state_store.credentials.passwords import Passwords
from state_store.credentials.presence import Presence
from state_store.errors import SlowedDown, StateError
from state_store.repository import StateRepository

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

_Method = Callable[..., Awaitable[NegativeCode | None]]


class Administration:
    """What one session may do to the state; every change is logged with the administrator's name."""

    def __init__(
        self,
        repository: StateRepository,
        passwords: Passwords,
        authenticator: Authenticator,
        session: Session,
        *,
        session_id: str,
        address: str,
    ) -> None:
        self._repository = repository
        self._passwords = passwords
        self._authenticator = authenticator
        self.presence = Presence()
        """Whether the client still waits for an answer."""
        self._session = session
        self._address = address
        self._log = log.bind(session=session_id)

    async def carry_out(self, request: Request) -> bytes:
        """Return the reply to a request once it has been carried out.

        Raises what no client can bring about: a bug, or a `StateError` that no code stands for.
        """
        try:
            code = await self._METHODS[request.command.commencement](self, *request.arguments)
        except StateError as error:
            return refusal(error)
        return positive(request.command.reply, None) if code is None else negative(code)

    def note_surplus(self, request: Request) -> None:
        """Log the arguments of a request that are ignored (P5); to be called once for each request."""
        if request.surplus_arguments:
            # In `u+ bob pass word` they were meant to be part of the password.
            self._log.warning(
                "surplus arguments ignored",
                command=request.command.commencement,
                count=request.surplus_arguments,
            )

    async def _authenticate(self, name: str, password: str) -> NegativeCode | None:
        try:
            is_right = await self._authenticator.check_administrator(
                name, password, self._address, self.presence
            )
        except SlowedDown:
            self._session.refused()
            self._log.warning("administrator slowed down", address=self._address)
            raise
        if is_right:
            self._session.authenticated(name)
            self._log.info("administrator logged in", administrator=name, address=self._address)
            return None
        self._session.refused()
        # Not the name: a slip of the hand may have put the password there.
        self._log.warning("administrator refused", address=self._address)
        return NegativeCode.WRONG_CREDENTIALS

    async def _add_user(self, username: str, password: str) -> None:
        await self._repository.add_user(username, await self._passwords.new_credential(password))
        self._note("user added", username=username)

    async def _remove_user(self, username: str) -> None:
        await self._repository.remove_user(username)
        self._note("user removed", username=username)

    async def _set_password(self, username: str, password: str) -> None:
        await self._repository.set_credential(username, await self._passwords.new_credential(password))
        self._note("password changed", username=username)

    async def _close_session(self, session_id: str) -> None:
        await self._repository.close_session(session_id)
        self._note("session closed", session=session_id)

    async def _lift_slow_down(self, slow_down_id: str) -> None:
        await self._repository.lift_slow_down(slow_down_id)
        self._note("slow-down lifted", slow_down=slow_down_id)

    async def _set_max_connections(self, limit: int) -> None:
        await self._repository.change_settings(max_connections=limit)
        self._note("setting changed", max_connections=limit)

    async def _set_mail_directory(self, path: str) -> None:
        await self._repository.change_settings(mail_directory=path)
        self._note("setting changed", mail_directory=path)

    async def _set_timeout(self, seconds: int) -> None:
        await self._repository.change_settings(timeout_seconds=seconds)
        self._note("setting changed", timeout_seconds=seconds)

    def _note(self, event: str, **what: object) -> None:
        self._log.info(event, administrator=self._session.administrator, **what)

    _METHODS: ClassVar[Mapping[str, _Method]] = {
        "a": _authenticate,
        "u+": _add_user,
        "u-": _remove_user,
        "p=": _set_password,
        "k-": _close_session,
        "g-": _lift_slow_down,
        "c=": _set_max_connections,
        "m=": _set_mail_directory,
        "t=": _set_timeout,
    }
