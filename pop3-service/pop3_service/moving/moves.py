"""The moves of one process: which logins ask the old server, whose mail is fetched, what clients get."""

import asyncio
import hashlib
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import structlog

from pop3_client import LoginPutOff as OldLoginPutOff
from pop3_client import Pop3Client, Pop3Error, TimeLimits, Unreachable, WrongLogin
from pop3_service.disk import DiskThreads
from pop3_service.maildir import Maildir, MaildirPath, Maildirs, MaildirUnreadable, maildir_of
from pop3_service.moving.arrivals import Arrivals, MoveLost, open_or_make
from pop3_service.moving.mail_move import MailMove, MoveResult
from pop3_service.moving.old_server import OldServer
from pop3_service.protocol.replies import LoginPutOff
from service_runtime.maildir_layout import MaildirLayout
from state_store.audit import on_this_machine
from state_store.credentials.attempts import RefusalReason
from state_store.credentials.networks import network_of
from state_store.credentials.opaque_string import UnusablePassword, opaque_string
from state_store.credentials.passwords import Passwords
from state_store.errors import StoreUnavailable, UserExists
from state_store.instance.live_instance import LiveInstance
from state_store.moves import MoveOutcome, MoveProgress
from state_store.records import Credential
from state_store.repository import StateRepository

LOGIN_SECONDS = 20.0
"""How long a login waits for the mail: less than clients wait, which is mostly 30 s or more."""

ASK_SECONDS = 15.0
"""How long the old server may take to accept or refuse a password."""

LIMITS = TimeLimits(connect=10.0)

RUN_SECONDS = 3600.0
"""A longer move is ended, so that others get their turn; the user's next login continues it."""

MOVES_AT_ONCE = 8
"""Users whose mail is fetched at a time: what the old server, and the disk, have to bear of a process."""

LOGINS_AT_ONCE = 8
"""Passwords that are tried on the old server at a time."""

LOGINS_OF_A_NETWORK = 4
"""The same for clients of one network, so that a guesser leaves room for others."""

REFUSED_SECONDS = 900.0
REFUSED_REMEMBERED = 10_000
"""A password that the old server has refused is not tried there again for so long; so many are remembered."""

AWAY_SECONDS = 5.0
"""How long the old server is left alone after it could not be reached."""

STOP_SECONDS = 3.0
"""How long the end of the process waits for what its moves have begun to write."""

NOTE_SECONDS = 1.0
"""The progress of a move is written to the store at most this often."""

AWAY = LoginPutOff.because("the server that your mail comes from does not answer, try again later")
BUSY = LoginPutOff.because("the mail of other users is being moved, try again in a minute")
HERE = LoginPutOff.because("your mail has just come, try again")
IN_USE = LoginPutOff.because("another session has this maildrop open, try again later")
NOT_NOW = LoginPutOff.because("your mail cannot be moved now, try again later")

log = structlog.get_logger()


class NotYet(Exception):
    """A login cannot go on yet; `reply` is the answer."""

    def __init__(self, reply: LoginPutOff) -> None:
        super().__init__(reply.value)
        self.reply = reply


class UserSuspended(Exception):
    """The old server has accepted the password of a user who is suspended here: nothing is moved."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class UserMove:
    """The move of one user's mail, from the moment the old server has accepted the password."""

    username: str
    credential: Credential = field(repr=False)
    progress: MoveProgress = field(default_factory=MoveProgress)
    task: "asyncio.Task[None] | None" = None
    refusal: LoginPutOff | None = None
    """The reply to logins when the move has ended and the user could not be added."""

    async def settled(self, until: float) -> None:
        """Return when all mail is here. Raises `NotYet` if the move fails, and at `until` (loop's clock)."""
        if self.task is not None:
            await asyncio.wait((self.task,), timeout=until - asyncio.get_running_loop().time())
            if not self.task.done():
                raise NotYet(under_way(self.progress))
        if self.refusal is not None:
            raise NotYet(self.refusal)


class Adoption:
    """One login under a name that is unknown here: asks the old server, then waits for the mail."""

    def __init__(self, moves: "Moves", username: str, password: str, address: str) -> None:
        self._ask = partial(moves.check, username, password, address)
        self._until = asyncio.get_running_loop().time() + LOGIN_SECONDS
        self._move: UserMove | None = None

    async def ask(self) -> str | RefusalReason:
        """Return the version of the credential that the user will have, or why none (`Moves.check`)."""
        answer = await self._ask()
        if isinstance(answer, RefusalReason):
            return answer
        self._move = answer
        return answer.credential.version

    async def settled(self) -> None:
        """Return when all mail is here, at once where none is moved. Raises `NotYet`, in time."""
        if self._move is not None:
            await self._move.settled(self._until)


def prepared_or_none(password: str) -> str | None:
    """Return the password as it is stored, None for one that can never be."""
    try:
        return opaque_string(password)
    except UnusablePassword:
        return None


def under_way(progress: MoveProgress) -> LoginPutOff:
    """Return the reply to a login that would have to wait for too long."""
    if not progress.total:
        return LoginPutOff.because("your mail is being fetched; try again in a minute")
    return LoginPutOff.because(
        f"{progress.here:,} of {progress.total:,} messages are here; try again in a minute"
    )


class Moves:
    """Takes users over from an old server, and their mail.

    A user is added only when all of the mail is here: until then the name is unknown everywhere else, and an
    interrupted move leaves no user behind. Nothing is ever removed on the old server.
    """

    def __init__(
        self,
        old_server: OldServer,
        repository: StateRepository,
        instance: LiveInstance,
        passwords: Passwords,
        maildirs: Maildirs,
        disk: DiskThreads,
        layout: MaildirLayout,
    ) -> None:
        self._old_server = old_server
        self._repository = repository
        self._instance = instance
        self._passwords = passwords
        self._maildirs = maildirs
        self._disk = disk
        self._layout = layout
        self._under_way: dict[str, UserMove] = {}
        self._asking: Counter[str] = Counter()
        self._refused = _Refused()
        self._away_until = 0.0

    async def announce(self) -> None:
        """Tell the store where users come from."""
        await self._repository.announce_source(
            str(self._old_server.address), by=on_this_machine("pop3-service")
        )

    def adoption(self, username: str, password: str, address: str) -> Adoption:
        """Return what one login asks and waits for."""
        return Adoption(self, username, password, address)

    async def check(self, username: str, password: str, address: str) -> UserMove | RefusalReason:
        """Return the move of a user who is unknown here and whose password the old server accepts.

        Raises `NotYet` when that cannot be found out now, `UserSuspended`, and `StoreUnavailable`.
        """
        if (move := self._under_way.get(username)) is not None:
            is_right = await self._passwords.is_right(
                username, move.credential, prepared_or_none(password) or "", is_stranger=True
            )
            return move if is_right else RefusalReason.WRONG_PASSWORD
        path, prepared = self._path(username), prepared_or_none(password)
        if path is None or prepared is None or self._refused.holds(username, password):
            return RefusalReason.UNKNOWN_USER
        if await self._repository.is_closed_to_moves(username):
            if await self._repository.credential(username) is not None:
                raise NotYet(HERE)  # since this login was refused, another login's move has ended
            return RefusalReason.UNKNOWN_USER
        if len(self._under_way) >= MOVES_AT_ONCE:
            raise NotYet(BUSY)
        with self._place(address):
            client = await self._logged_in(username, password)
            if client is None:
                self._refused.add(username, password)
                return RefusalReason.UNKNOWN_USER
            if (suspension := await self._repository.suspension(username)) is not None:
                client.abort()
                raise UserSuspended(suspension.reason)
            credential = await self._passwords.new_credential(prepared)
        if username in self._under_way or len(self._under_way) >= MOVES_AT_ONCE:
            client.abort()
            if username in self._under_way:  # another login of the same user came first
                return self._under_way[username]
            raise NotYet(BUSY)
        return self._begin(UserMove(username, credential), path, client)

    def under_way(self) -> list[str]:
        """Return the users whose mail is being moved by this process."""
        return list(self._under_way)

    def abandon(self) -> None:
        """End all moves at once: the lease is over, or the process stops."""
        for move in list(self._under_way.values()):
            if move.task is not None:
                move.task.cancel()

    async def stop(self) -> None:
        """End all moves, and return when they have; one that waits for a disk that hangs is left alone."""
        self.abandon()
        tasks = [move.task for move in self._under_way.values() if move.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)

    # Asking the old server

    def _path(self, username: str) -> MaildirPath | None:
        try:
            return maildir_of(self._instance.settings.mail_directory, username, self._layout)
        except (MaildirUnreadable, ValueError):
            return None

    @contextmanager
    def _place(self, address: str) -> Iterator[None]:
        network = network_of(address)
        if self._asking.total() >= LOGINS_AT_ONCE or self._asking[network] >= LOGINS_OF_A_NETWORK:
            raise NotYet(BUSY)
        self._asking[network] += 1
        try:
            yield
        finally:
            self._asking[network] -= 1
            self._asking += Counter()  # drops those that are 0

    async def _logged_in(self, username: str, password: str) -> Pop3Client | None:
        """Return a session with the old server, None if it refuses the password. Raises `NotYet`."""
        if time.monotonic() < self._away_until:
            raise NotYet(AWAY)
        client: Pop3Client | None = None
        try:
            async with asyncio.timeout(ASK_SECONDS):
                client = await Pop3Client.connect(*self._old_server, LIMITS)
                await client.log_in(username, password)
        except WrongLogin:
            await _close(client)
            return None
        except (Pop3Error, TimeoutError) as error:
            await _close(client)
            if isinstance(error, Unreachable):
                self._away_until = time.monotonic() + AWAY_SECONDS
            # Its reply may be meant for the user, as for a maildrop that is in use there.
            why = str(error) or f"no answer within {ASK_SECONDS:g} s"
            log.warning("old server cannot be asked", server=str(self._old_server.address), reason=why)
            raise NotYet(await self._put_off(username, error)) from None
        except BaseException:
            if client is not None:
                client.abort()
            raise
        return client

    async def _put_off(self, username: str, error: Exception) -> LoginPutOff:
        if not isinstance(error, OldLoginPutOff):
            return AWAY
        # Mostly the maildrop is locked there because another process of ours fetches it. Servers say that to
        # right passwords only.
        progress = await self._repository.move_progress(username)
        return under_way(progress) if progress is not None else NOT_NOW

    # Moving

    def _begin(self, move: UserMove, path: MaildirPath, client: Pop3Client) -> UserMove:
        self._under_way[move.username] = move
        maildir = self._maildirs.at(path)
        move.task = asyncio.get_running_loop().create_task(self._run(move, maildir, client))
        move.task.add_done_callback(partial(self._ended, move, maildir, client))
        return move

    def _ended(
        self, move: UserMove, maildir: Maildir, client: Pop3Client, task: "asyncio.Task[None]"
    ) -> None:
        # Not at the end of the task: one that is cancelled before its first step has none.
        del self._under_way[move.username]
        client.abort()
        maildir.close()
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or error is not None:
            move.refusal = NOT_NOW
        if error is not None:
            log.error("bug", user=move.username, exc_info=error)

    async def _run(self, move: UserMove, maildir: Maildir, client: Pop3Client) -> None:
        began, lease = time.monotonic(), self._instance.instance_id
        try:
            reason = await self._moved(move, maildir, client, lease)
            if reason:
                move.refusal = move.refusal or NOT_NOW
                log.warning("mail not moved", user=move.username, reason=reason)
            else:
                log.info("mail moved", user=move.username, seconds=round(time.monotonic() - began, 1))
        except StoreUnavailable:
            move.refusal = NOT_NOW
            log.warning("mail not moved", user=move.username, reason="the state store is away")

    async def _moved(self, move: UserMove, maildir: Maildir, client: Pop3Client, lease: str) -> str:
        """Move the mail and add the user; return why that could not be, else an empty text."""
        try:
            await self._disk.run("move", open_or_make, maildir)
        except (OSError, MaildirUnreadable) as error:
            return _reason(error)
        outcome, progress = await self._repository.begin_move(move.username, lease, maildir.lock_name)
        if outcome is MoveOutcome.KNOWN:
            return ""
        if outcome is not MoveOutcome.BEGUN:
            refusals = {MoveOutcome.IN_USE: IN_USE, MoveOutcome.ELSEWHERE: under_way(progress)}
            move.refusal = refusals.get(outcome, NOT_NOW)
            return str(outcome.value)
        reason = "it was interrupted"
        try:
            async with asyncio.timeout(RUN_SECONDS):
                result = await self._fetched(move, maildir, client, lease)
            log.info("mail fetched", user=move.username, **_fields(result))
            await client.close()
            try:
                await self._repository.add_user(move.username, move.credential, by=None)
            except UserExists:
                log.warning("an administrator has added the user meanwhile", user=move.username)
            reason = ""
        except (Pop3Error, MaildirUnreadable, MoveLost, OSError, ValueError) as error:
            reason = _reason(error)
        finally:
            await self._repository.end_move(move.username, lease, maildir.lock_name, move.progress, reason)
        return reason

    async def _fetched(self, move: UserMove, maildir: Maildir, client: Pop3Client, lease: str) -> MoveResult:
        noted_at = time.monotonic()

        async def note(progress: MoveProgress) -> None:
            nonlocal noted_at
            move.progress = progress
            if time.monotonic() - noted_at < NOTE_SECONDS and progress.here < progress.total:
                return
            noted_at = time.monotonic()
            with suppress(StoreUnavailable):  # the move goes on as long as the lease holds
                if not await self._repository.note_move(move.username, lease, progress):
                    raise MoveLost

        arrivals = Arrivals(maildir, partial(self._instance.still_holds, lease))
        lane = ("move", self._maildirs.lane(maildir))
        run = partial(self._disk.run, lane)
        return await MailMove(client, arrivals, self._maildirs, run, note, time.time).move()


async def _close(client: Pop3Client | None) -> None:
    if client is not None:
        await client.close()


def _reason(error: Exception) -> str:
    if isinstance(error, MoveLost):
        return "the lease was over"
    if isinstance(error, TimeoutError):
        return f"it takes longer than {RUN_SECONDS / 60:.0f} minutes; the next login goes on with it"
    if isinstance(error, OSError):
        return f"the mail directory: {error.strerror}"
    return f"the old server: {error}" if isinstance(error, Pop3Error) else str(error)


def _fields(result: MoveResult) -> dict[str, int]:
    return {name: getattr(result, name) for name in result.__slots__}


class _Refused:
    """Passwords that the old server has refused lately, as keyed digests."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def holds(self, username: str, password: str) -> bool:
        """Return whether this one is among them."""
        return self._until.get(self._digest(username, password), 0.0) > time.monotonic()

    def add(self, username: str, password: str) -> None:
        """Add one; over `REFUSED_REMEMBERED` the oldest is forgotten."""
        self._until[self._digest(username, password)] = time.monotonic() + REFUSED_SECONDS
        if len(self._until) > REFUSED_REMEMBERED:
            self._until.popitem(last=False)

    def _digest(self, username: str, password: str) -> bytes:
        text = f"{username}\0{password}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._key, digest_size=16).digest()
