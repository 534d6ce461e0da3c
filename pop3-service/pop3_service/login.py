"""From a name and a password, or a SCRAM proof of it, to an open maildrop: check, lock, list."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

import structlog

from pop3_service.context import Pop3Context
from pop3_service.maildir import Maildir, MaildirPath, MaildirUnreadable, MovedMessages, maildir_of
from pop3_service.moving.moves import NotYet, UserSuspended
from pop3_service.protocol.intentions import ScramProof
from pop3_service.protocol.maildrop import MaildropContents
from pop3_service.protocol.replies import LoginPutOff, LoginRefusal, suspended
from state_store.credentials.attempts import RefusalReason
from state_store.credentials.opaque_string import UnusablePassword, opaque_string
from state_store.credentials.presence import Presence
from state_store.credentials.scram import ScramExchange, ScramMalformed
from state_store.errors import SlowedDown, StoreUnavailable
from state_store.instance.live_instance import LiveInstance
from state_store.records import Login as LockRequest
from state_store.records import LoginOutcome
from state_store.user_notes import Origin

LOCK_PAUSES_SECONDS = (0.02, 0.04, 0.08, *[0.16] * 5)
"""A client that comes back at once may be faster than the release of its last session's lock (D2): a lock
that is held is requested again after each of these pauses before the reply is `[IN-USE]`."""

_REFUSALS = {
    LoginOutcome.IN_USE: RefusalReason.IN_USE,
    LoginOutcome.TOO_SOON: RefusalReason.TOO_SOON,
}

_REPLIES = {
    RefusalReason.WRONG_PASSWORD: LoginRefusal.WRONG_CREDENTIALS,
    RefusalReason.UNKNOWN_USER: LoginRefusal.WRONG_CREDENTIALS,
    RefusalReason.REPEATED: LoginRefusal.WRONG_CREDENTIALS,
    RefusalReason.SLOWED_DOWN: LoginRefusal.SLOWED_DOWN,
    RefusalReason.IN_USE: LoginRefusal.IN_USE,
    RefusalReason.TOO_SOON: LoginRefusal.TOO_SOON,
}

log = structlog.get_logger()


@dataclass(slots=True)
class OpenedMaildrop:
    """A maildrop that is locked, and what it held at login."""

    username: str
    maildir: Maildir
    contents: MaildropContents
    lease: str
    """The instance id under which the lock was taken: under another one it is no longer ours."""
    _moved: MovedMessages | None = None

    @property
    def moved(self) -> MovedMessages:
        """What finds messages that have been renamed since; few sessions have to look for one."""
        if self._moved is None:
            self._moved = MovedMessages()
        return self._moved


LoginEnd: TypeAlias = OpenedMaildrop | LoginRefusal | LoginPutOff
"""How a login ends. Whoever is given an `OpenedMaildrop` has to close the maildir and release the lock."""


class Login:
    """A session's attempts to log in, by a password or by SCRAM. It is dropped once one has succeeded."""

    __slots__ = ("_context", "_credential_version", "_exchange", "_presence", "_session_id", "origin")

    def __init__(self, context: Pop3Context, session_id: str, address: str) -> None:
        self.origin = Origin(address)
        """From where and how the attempt is made, for operators."""
        self._context = context
        self._session_id = session_id
        self._presence = Presence()
        self._exchange: ScramExchange | None = None
        self._credential_version = ""
        """Of the password that SCRAM has proved."""

    def client_left(self) -> None:
        """Take note that the client is gone or sends nothing more: no allowance is waited for (D45)."""
        self._presence.leave()

    # A password that this process remembers: mostly one question to the store, no task and no disk

    def remembered(self, username: str, password: str) -> LockRequest | None:
        """Return the lock request for a password that this process has verified before, None for any other.

        The store's answer to it goes to `locked`.
        """
        version = self._context.passwords.recall(username, _prepared(password))
        if version is None:
            return None
        is_remembered = not self._context.authenticator.is_trusted(self.origin.address)
        return self._lock_request(username, version, is_remembered=is_remembered)

    def locked(
        self, request: LockRequest, password: str, answer: "asyncio.Future[LoginOutcome]"
    ) -> LoginEnd | Coroutine[Any, Any, LoginEnd]:
        """Return how the login ends, or what is left to do until it does."""
        if answer.exception() is not None:
            return LoginRefusal.STORE_UNAVAILABLE
        if answer.result() is not LoginOutcome.OPENED:
            return self.by_password(request.username, password)
        try:
            return self._open_at_once(request) or self._open(request)
        except BaseException:
            self._withdraw(request)
            raise

    def _open_at_once(self, request: LockRequest) -> OpenedMaildrop | None:
        try:
            maildir = self._context.maildirs.at(self._path(request.username))
        except MaildirUnreadable:
            return None
        contents = self._context.maildirs.remembered(maildir)
        if contents is None or maildir.lock_name != request.maildir:
            maildir.close()
            return None
        return OpenedMaildrop(request.username, maildir, contents, self._context.instance.instance_id)

    # Any other password

    async def by_password(self, username: str, password: str) -> LoginEnd:
        """Check a password, lock the maildrop and list it."""
        try:
            locked = await self._lock_on_password(username, password)
        except StoreUnavailable:
            return LoginRefusal.STORE_UNAVAILABLE
        except UserSuspended as error:
            return self._put_off_suspended(username, error.reason)
        except NotYet as error:
            return error.reply
        return await self._open(locked) if isinstance(locked, LockRequest) else locked

    async def _lock_on_password(
        self, username: str, password: str
    ) -> LockRequest | LoginRefusal | LoginPutOff:
        moves, prepared = self._context.moves, _prepared(password)
        while True:
            adoption = moves.adoption(username, password, self.origin.address) if moves is not None else None
            try:
                version = await self._context.authenticator.check_user(
                    username,
                    prepared,
                    self.origin.address,
                    self._presence,
                    adopt=adoption.ask if adoption is not None else None,
                )
            except SlowedDown:
                version = RefusalReason.SLOWED_DOWN
            if isinstance(version, RefusalReason):
                return self._refuse(username, version)
            if adoption is not None:
                await adoption.settled()
            request = self._lock_request(username, version)
            outcome = await self._lock(request)
            if outcome is LoginOutcome.OPENED:
                return request
            if outcome in _REFUSALS:
                return await self._refuse_lock(request, outcome)
            if (suspension := await self._suspension(request)) is not None:
                return suspension
            # The password has been changed since it was checked: check it again, against the store's new one.
            self._context.passwords.forget(username)

    # SCRAM

    async def begin_scram(self, message: str) -> str | LoginRefusal | None:
        """Return the server's first message, None where the client's is malformed."""
        try:
            self._exchange = await self._context.authenticator.begin_scram(message)
        except ScramMalformed:
            return None
        except StoreUnavailable:
            return LoginRefusal.STORE_UNAVAILABLE
        return self._exchange.challenge

    async def finish_scram(self, message: str) -> ScramProof | LoginRefusal:
        """Check the client's last message, and return the server's."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            raise ValueError("no SCRAM exchange has begun")
        try:
            proved = await self._context.authenticator.finish_scram(
                exchange, message, self.origin.address, self._presence
            )
        except StoreUnavailable:
            return LoginRefusal.STORE_UNAVAILABLE
        except SlowedDown:
            proved = RefusalReason.SLOWED_DOWN
        if isinstance(proved, RefusalReason):
            return self._refuse(exchange.username, proved)
        last_message, self._credential_version = proved
        return ScramProof(exchange.username, last_message)

    async def by_proof(self, username: str) -> LoginEnd:
        """Lock and list the maildrop of the user whose password `finish_scram` has found proved."""
        request = self._lock_request(username, self._credential_version)
        try:
            outcome = await self._lock(request)
            if outcome is LoginOutcome.CREDENTIAL_CHANGED:
                if (suspension := await self._suspension(request)) is not None:
                    return suspension
                outcome = await self._lock(request)  # only a suspension may have stood before, and ended now
            if outcome is not LoginOutcome.OPENED:
                return await self._refuse_lock(request, outcome)
        except StoreUnavailable:
            return LoginRefusal.STORE_UNAVAILABLE
        return await self._open(request)

    # What they share

    def _refuse(self, username: str, reason: RefusalReason, detail: str = "") -> LoginRefusal:
        note_refusal(self._context.instance, username, reason, self.origin, detail, session=self._session_id)
        return _REPLIES[reason]

    async def _refuse_lock(self, request: LockRequest, outcome: LoginOutcome) -> LoginRefusal | LoginPutOff:
        """Refuse a right password whose maildrop is not given out."""
        if outcome not in _REFUSALS and (suspension := await self._suspension(request)) is not None:
            return suspension
        # What is no refusal can only be that the password has been changed since it was checked.
        reason = _REFUSALS.get(outcome, RefusalReason.WRONG_PASSWORD)
        holder = await self._context.instance.tell_refusal(request, reason)
        return self._refuse(request.username, reason, holder if reason is RefusalReason.IN_USE else "")

    async def _suspension(self, request: LockRequest) -> LoginPutOff | None:
        """Return the answer to a suspended user whose password was right: nobody else learns of it."""
        found = await self._context.authenticator.suspension(request.username, request.credential_version)
        if found is None:
            return None
        await self._context.instance.tell_refusal(request, RefusalReason.SUSPENDED)
        return self._put_off_suspended(request.username, found.reason)

    def _put_off_suspended(self, username: str, why: str) -> LoginPutOff:
        instance, reason = self._context.instance, RefusalReason.SUSPENDED
        note_refusal(instance, username, reason, self.origin, why, session=self._session_id)
        return LoginPutOff(suspended(why))

    def _lock_request(self, username: str, version: str, *, is_remembered: bool = False) -> LockRequest:
        try:
            lock_name = self._context.maildirs.lock_name(self._path(username))
        except MaildirUnreadable:
            lock_name = ""
        return LockRequest(username, self._session_id, version, self.origin.address, is_remembered, lock_name)

    def _path(self, username: str) -> MaildirPath:
        context = self._context
        return maildir_of(context.instance.settings.mail_directory, username, context.layout)

    async def _lock(self, request: LockRequest) -> LoginOutcome:
        for pause_seconds in LOCK_PAUSES_SECONDS:
            outcome = await self._context.instance.lock_maildrop(request)
            if outcome is not LoginOutcome.IN_USE:
                return outcome
            await asyncio.sleep(pause_seconds)
        return await self._context.instance.lock_maildrop(request)

    async def _open(self, request: LockRequest) -> LoginEnd:
        """List the maildrop that has just been locked; where that fails its lock is given back."""
        maildir: Maildir | None = None
        is_open = False
        try:
            lease = self._context.instance.instance_id
            maildir = self._context.maildirs.at(self._path(request.username))
            contents = await self._list(maildir, request)
            if isinstance(contents, MaildropContents):
                is_open = True
                return OpenedMaildrop(request.username, maildir, contents, lease)
            return contents
        except MaildirUnreadable as error:
            self._refuse_unreadable(request.username, error)
            return LoginRefusal.MAILDROP_AWAY if error.is_temporary else LoginRefusal.MAILDROP_UNREADABLE
        except StoreUnavailable:
            return LoginRefusal.STORE_UNAVAILABLE
        finally:
            if not is_open:
                self._withdraw(request)
                if maildir is not None:
                    maildir.close()

    def _refuse_unreadable(self, username: str, error: MaildirUnreadable) -> None:
        log.warning("maildrop unreadable", session=self._session_id, user=username, reason=str(error))
        reason = RefusalReason.MAILDROP_UNREADABLE
        self._context.instance.count_refusal(username, reason, self.origin, str(error))

    def _withdraw(self, request: LockRequest) -> None:
        self._context.instance.withdraw_login(request.username, self._session_id)

    async def _list(
        self, maildir: Maildir, request: LockRequest
    ) -> MaildropContents | LoginRefusal | LoginPutOff:
        """Return what `maildir` holds, once it is locked under all of its names; `request` locked one."""
        contents = await self._context.listings.contents_if_locked(maildir, request.maildir)
        if contents is None:
            # The process did not know which maildir it is. It is held open: no other can take its place.
            again = request._replace(maildir=maildir.lock_name, is_remembered=False)
            outcome = await self._lock(again)
            if outcome is not LoginOutcome.OPENED:
                return await self._refuse_lock(request, outcome)
            contents = await self._context.listings.contents(maildir)
        left_out = self._context.maildirs.unreadable_messages(maildir)
        if left_out:
            log.warning("messages left out: they cannot be read", session=self._session_id, messages=left_out)
        damage = self._context.maildirs.unique_id_damage(maildir)
        if damage:
            self._context.instance.count_damaged_unique_ids()
            log.warning(
                "peep-unique-ids damaged: its readable lines hold",
                session=self._session_id,
                user=request.username,
                reason=damage,
            )
        return contents


def note_refusal(
    instance: LiveInstance,
    username: str,
    reason: RefusalReason,
    origin: Origin,
    detail: str = "",
    *,
    session: str,
) -> None:
    """Log, count and note a refused login. Before a name is known `username` is empty."""
    more = {"tls": origin.tls, "mechanism": origin.mechanism, "detail": detail}
    # The address first: a user name is the client's text, and may look like the fields that follow it.
    log.warning(
        "login refused",
        address=origin.address,
        reason=reason.value,
        **{name: text for name, text in more.items() if text},
        session=session,
        user=username,
    )
    instance.count_refusal(username, reason, origin, detail)


def _prepared(password: str) -> str:
    # One that can never have been set is checked as it is, so that it costs what any wrong one costs.
    try:
        return opaque_string(password)
    except UnusablePassword:
        return password
