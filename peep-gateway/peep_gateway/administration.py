"""Carries out the requests of PEEP sessions: a request in, its outcome out."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from peep_gateway.protocol.commands import AUTHENTICATE
from peep_gateway.protocol.replies import NegativeCode
from peep_gateway.protocol.session import Authentication, Outcome, Request, Session
from peep_gateway.queries import NEED_NO_STORE, QUERIES, Queries
from state_store.administrators import Role
from state_store.audit import Actor, Door
from state_store.credentials.authentication import Authenticator
from state_store.credentials.noted_sign_ins import NotedSignIns
from state_store.credentials.passwords import Passwords
from state_store.credentials.presence import Presence
from state_store.errors import (
    MailDirectoryRefused,
    SlowedDown,
    StateError,
    StoreEmptied,
    StoreUnavailable,
    UnknownSession,
    UnknownSlowDown,
    UnknownUser,
    UserExists,
)
from state_store.repository import StateRepository

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

SIGN_IN_VALID_SECONDS = 0.25
"""How long queries of a session go on after its administrator is gone. To look each time would double their
cost; a change is never carried out without a look."""

NEGATIVE_CODES: Mapping[type[StateError], NegativeCode] = {
    StoreEmptied: NegativeCode.SERVICE_UNAVAILABLE,
    StoreUnavailable: NegativeCode.SERVICE_UNAVAILABLE,
    UserExists: NegativeCode.USER_EXISTS,
    UnknownUser: NegativeCode.UNKNOWN_USER,
    UnknownSession: NegativeCode.UNKNOWN_USER,
    UnknownSlowDown: NegativeCode.UNKNOWN_USER,
    MailDirectoryRefused: NegativeCode.INVALID_PATH,
}
"""The one table from the store's errors to PEEP. Any other error is a bug and ends the session."""


@dataclass(slots=True)
class Client:
    """The client that a request comes from."""

    session: Session
    session_id: str
    address: str
    presence: Presence = field(default_factory=Presence)
    """Whether it still waits for an answer."""
    identity: str = ""
    """The administrator's when it signed in."""
    valid_until: float = 0.0
    """Until when that counts for queries without another look, by the event loop's clock."""


@dataclass(frozen=True, slots=True)
class Change:
    """How a command changes the store, and how the log reports that."""

    make: Callable[[StateRepository, Actor, tuple[Any, ...]], Awaitable[object]]
    """Takes who asks for it, and the command's arguments with the credential in place of a password."""
    event: str
    subject: str
    """The name under which the log shows the first argument."""


CHANGES: Mapping[str, Change] = {
    "u+": Change(lambda store, by, args: store.add_user(*args, by=by), "user added", "username"),
    "u-": Change(lambda store, by, args: store.remove_user(*args, by=by), "user removed", "username"),
    "p=": Change(lambda store, by, args: store.set_credential(*args, by=by), "password changed", "username"),
    "k-": Change(lambda store, by, args: store.close_session(*args, by=by), "session closed", "session"),
    "g-": Change(lambda store, by, args: store.lift_slow_down(*args, by=by), "slow-down lifted", "slow_down"),
    "c=": Change(
        lambda store, by, args: store.change_settings(by=by, max_connections=args[0]),
        "setting changed",
        "max_connections",
    ),
    "m=": Change(
        lambda store, by, args: store.change_settings(by=by, mail_directory=args[0]),
        "setting changed",
        "mail_directory",
    ),
    "t=": Change(
        lambda store, by, args: store.change_settings(by=by, timeout_seconds=args[0]),
        "setting changed",
        "timeout_seconds",
    ),
}
"""Every command that changes the store, by its commencement."""


class Administration:
    """Carries out the requests of all sessions; every change is logged with the administrator's name."""

    def __init__(
        self, repository: StateRepository, passwords: Passwords, authenticator: Authenticator
    ) -> None:
        self._repository = repository
        self._passwords = passwords
        self._authenticator = authenticator
        self._queries = Queries(repository)
        self._noted_sign_ins = NotedSignIns(repository)

    async def carry_out(self, request: Request, client: Client) -> Outcome:
        """Return the outcome of a request. Raises any error that has no negative code: it is a bug."""
        commencement = request.command.commencement
        if request.surplus_arguments:
            # In `u+ bob pass word` they were meant to be part of the password.
            log.warning(
                "surplus arguments ignored",
                session=client.session_id,
                command=commencement,
                count=request.surplus_arguments,
            )
        try:
            if request.command is AUTHENTICATE:
                return await self._authenticate(client, *map(str, request.arguments))
            if commencement in QUERIES:
                now = asyncio.get_running_loop().time()
                if now >= client.valid_until and commencement not in NEED_NO_STORE:
                    if not await self._is_still_valid(client):
                        return Authentication.OVER
                    client.valid_until = now + SIGN_IN_VALID_SECONDS
                return await self._queries.answer(commencement)
            if not await self._is_still_valid(client):
                return Authentication.OVER
            await self._change(CHANGES[commencement], request, client)
        except StateError as error:
            if type(error) not in NEGATIVE_CODES:
                raise
            if isinstance(error, MailDirectoryRefused):
                log.warning(
                    "mail directory refused",
                    session=client.session_id,
                    mail_directory=request.arguments[0],
                    reasons=error.faults,
                )
            return NEGATIVE_CODES[type(error)]
        return None

    async def _authenticate(self, client: Client, name: str, password: str) -> Authentication:
        about_client = {"session": client.session_id, "address": client.address}
        try:
            administrator = await self._authenticator.check_administrator(
                name, password, client.address, client.presence, role=Role.ALL
            )
        except SlowedDown:
            log.warning("administrator slowed down", **about_client)
            return Authentication.SLOWED_DOWN
        if administrator is None:
            # Not the name: a slip of the hand may have put the password there.
            log.warning("administrator refused", **about_client)
            await self._repository.note_refused_sign_in(by=Actor("", Door.PEEP, client.address))
            return Authentication.FAILED
        await self._noted_sign_ins.note(Actor(name, Door.PEEP, client.address))
        log.info("administrator logged in", administrator=name, **about_client)
        client.identity = administrator.identity
        return Authentication.SUCCEEDED

    async def _is_still_valid(self, client: Client) -> bool:
        """Return whether the administrator who has signed in still has this password and role."""
        found = await self._repository.administrator(str(client.session.administrator))
        return found is not None and found.identity == client.identity

    async def _change(self, change: Change, request: Request, client: Client) -> None:
        subject, *password = request.arguments
        credential = [await self._passwords.new_credential(str(one)) for one in password]
        by = Actor(str(client.session.administrator), Door.PEEP, client.address)
        await change.make(self._repository, by, (subject, *credential))
        about = {"session": client.session_id, "administrator": by.name, change.subject: subject}
        log.info(change.event, **about)
