"""The commands that only look: one look at the store answers all sessions that ask at the same moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, TypeVar
from urllib.parse import quote

from peep_gateway.protocol.commands import Command
from peep_gateway.protocol.replies import Answer, Lines, positive, wire_form
from peep_gateway.refusals import refusal
from service_runtime import VERSION
from state_store.credentials.attempts import SlowDown
from state_store.records import Counters, SessionRow, Settings
from state_store.repository import StateRepository

_NAME_CHARACTERS = "!\"#$&'()*+,:;<=>?@[\\]^_`{|}~"
"""What stands for itself in a name, beside letters and digits; not `%` and `/`."""

LINES_A_TURN = 5000
"""Names that are put into wire form, in about a millisecond, before other sessions have their turn."""

_Seen = TypeVar("_Seen")

Look = Callable[[StateRepository], Awaitable[Any]]
"""One way to look at the store; the looks of this module are compared by identity."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a command wants to know: the look that shows it, and what of it is the answer."""

    look: Look
    answer: Callable[[Any], Answer]


def _counters(repository: StateRepository) -> Awaitable[Counters]:
    return repository.counters()


def _settings(repository: StateRepository) -> Awaitable[Settings]:
    return repository.settings()


async def _usernames(repository: StateRepository) -> Lines:
    return await _lines(await repository.usernames())


async def _logged_in_users(repository: StateRepository) -> Lines:
    return await _lines(await repository.logged_in_users())


async def _sessions(repository: StateRepository) -> Lines:
    now = time.time()
    return await _lines([_session_line(session, now) for session in await repository.sessions()])


def _session_line(session: SessionRow, now: float) -> str:
    # The clocks of two machines may differ a little.
    seconds = max(0, int(now - session.connected_at))
    return f"{session.session_id} {session.username or '-'} {session.address or '-'} {seconds}"


async def _slow_downs(repository: StateRepository) -> Lines:
    now = time.time()
    return await _lines([_slow_down_line(one, now) for one in await repository.slow_downs()])


def _slow_down_line(one: SlowDown, now: float) -> str:
    # No user's name has a slash. What clients sent as a name may be anything.
    name = quote(one.user, safe=_NAME_CHARACTERS)
    user = f"administrator/{name}" if one.is_administrator else name
    since, still = max(0, int(now - one.since)), max(0, ceil(one.until - now))
    return f"{one.slow_down_id} {one.network or '-'} {user or '-'} {since} {one.attempts} {still}"


async def _version(_: StateRepository) -> str:
    return VERSION


async def _lines(lines: list[str]) -> Lines:
    pieces = []
    for first in range(0, len(lines), LINES_A_TURN):
        if first:
            await asyncio.sleep(0)
        pieces.append(wire_form(lines[first : first + LINES_A_TURN]))
    return Lines(len(lines), b"".join(pieces))


def _all(lines: Lines) -> Lines:
    return lines


def _question(look: Callable[[StateRepository], Awaitable[_Seen]], of: Callable[[_Seen], Answer]) -> Question:
    return Question(look, of)


QUESTIONS: Mapping[str, Question] = {
    "u?": _question(_usernames, _all),
    "c?": _question(_settings, lambda settings: settings.max_connections),
    "m?": _question(_settings, lambda settings: settings.mail_directory),
    "t?": _question(_settings, lambda settings: settings.timeout_seconds),
    "rb?": _question(_counters, lambda counters: counters.retrieved_bytes),
    "re?": _question(_counters, lambda counters: counters.retrieved_emails),
    "xe?": _question(_counters, lambda counters: counters.removed_emails),
    "cc?": _question(_counters, lambda counters: counters.current_connections),
    "cu?": _question(_logged_in_users, _all),
    "hc?": _question(_counters, lambda counters: counters.historical_connections),
    "hu?": _question(_counters, lambda counters: counters.historical_logins),
    "s?": _question(_sessions, _all),
    "g?": _question(_slow_downs, _all),
    "v?": _question(_version, lambda version: version),
}
"""Every command that only looks, by its commencement."""


class View:
    """What one look has shown, and the replies that were made of it."""

    def __init__(self, seen: object, error: Exception | None = None) -> None:
        self._seen = seen
        self._error = error
        self._replies: dict[str, bytes] = {}

    def reply(self, command: Command) -> bytes:
        """Return the reply to a command whose question this look answers; each is made once.

        Raises the look's error when it is none that a reply can tell.
        """
        known = self._replies.get(command.commencement)
        if known is None:
            known = self._replies[command.commencement] = self._made(command)
        return known

    def _made(self, command: Command) -> bytes:
        if self._error is not None:
            return refusal(self._error)
        return positive(command.reply, QUESTIONS[command.commencement].answer(self._seen))


Told = Callable[[View], None]
"""Is called once with what was seen; must not raise."""


class Questions:
    """What the sessions of a gateway ask.

    Of each kind one look is under way at a time; who asks meanwhile is told what the next one shows. A look
    begins after everybody has asked whom it answers, so it shows nothing older than a look of his own would.
    """

    def __init__(self, repository: StateRepository) -> None:
        self._shared = {
            question.look: _SharedLook(repository, question.look) for question in QUESTIONS.values()
        }

    def ask(self, question: Question, told: Told) -> None:
        """Call `told` with what a look shows that begins after this call."""
        self._shared[question.look].ask(told)

    def give_up(self, question: Question, told: Told) -> None:
        """Do not call `told` any more; a look that nobody waits for is given up."""
        self._shared[question.look].give_up(told)


class _SharedLook:
    """One kind of look; it keeps nothing of what it has seen."""

    def __init__(self, repository: StateRepository, look: Look) -> None:
        self._repository = repository
        self._look = look
        self._next: dict[Told, None] = {}
        self._under_way: dict[Told, None] = {}
        self._task: asyncio.Task[None] | None = None

    def ask(self, told: Told) -> None:
        self._next[told] = None
        if self._task is None:
            self._task = asyncio.create_task(self._answer())

    def give_up(self, told: Told) -> None:
        self._next.pop(told, None)
        self._under_way.pop(told, None)
        if self._task is not None and not self._next and not self._under_way:
            self._task.cancel()
            self._task = None

    async def _answer(self) -> None:
        while self._next:
            # All that has come in this turn of the event loop is to be among those whom this look answers.
            await asyncio.sleep(0)
            self._under_way, self._next = self._next, {}
            view = await self._view()
            answered, self._under_way = self._under_way, {}
            for told in answered:
                told(view)
        self._task = None

    async def _view(self) -> View:
        try:
            return View(await self._look(self._repository))
        except Exception as error:
            return View(None, error)
