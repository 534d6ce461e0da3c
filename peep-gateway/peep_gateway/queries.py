"""The commands that only read the store: sessions that ask the same at the same moment share one query."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from peep_gateway.protocol.replies import Answer, Lines, wire_form
from peep_gateway.protocol.session import Request
from service_runtime import VERSION
from state_store.credentials.attempts import SlowDown
from state_store.moves import Move, MoveCounts
from state_store.records import Counters, SessionRow, Settings
from state_store.repository import StateRepository

_NAME_CHARACTERS = "!\"#$&'()*+,:;<=>?@[\\]^_`{|}~"
"""What stands for itself in a name, beside letters and digits; not `%` and `/`."""

LINES_A_TURN = 5000
"""Lines that are encoded, in about a millisecond, before other sessions have their turn of the event loop."""

LONGEST_REASON_OCTETS = 300
"""What a line of `mv?` has room for, beside the longest name."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Query(Generic[_Result]):
    """How a command's answer is read: `run` queries the store, `answer` takes its answer from the result.

    Commands with the same `run` share its queries.
    """

    run: Callable[[StateRepository], Awaitable[_Result]]
    answer: Callable[[_Result], Answer]


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
    idle = max(0, int(now - session.active_at)) if session.active_at else "-"
    way = f"{session.message_sent}/{session.message_octets}" if session.message_octets else "-"
    figures = f"{session.octets} {session.retrieved} {session.marked}"
    who = f"{session.session_id} {session.username or '-'} {session.address or '-'}"
    return f"{who} {seconds} {session.tls or '-'} {figures} {idle} {way}"


async def _slow_downs(repository: StateRepository) -> Lines:
    now = time.time()
    return await _lines([_slow_down_line(one, now) for one in await repository.slow_downs()])


def _slow_down_line(one: SlowDown, now: float) -> str:
    # A user's name has no slash. What clients sent as a name may hold any character.
    name = quote(one.user, safe=_NAME_CHARACTERS)
    user = f"administrator/{name}" if one.is_administrator else name
    since, still = max(0, int(now - one.since)), max(0, ceil(one.until - now))
    return f"{one.slow_down_id} {one.network or '-'} {user or '-'} {since} {one.attempts} {still}"


async def _moves(repository: StateRepository) -> Lines:
    now = time.time()
    return await _lines([_move_line(move, now) for move in await repository.moves()])


def _move_line(move: Move, now: float) -> str:
    progress = f"{move.progress.here} {move.progress.total}"
    return (
        f"{move.username} {move.state.value} {progress} {max(0, int(now - move.at))} {_reason(move.reason)}"
    )


def _reason(text: str) -> str:
    # The old server has written it, up to 200 characters; each may take twelve octets here.
    reason = quote(text, safe=_NAME_CHARACTERS)
    while len(reason) > LONGEST_REASON_OCTETS:
        text = text[:-1]
        reason = quote(text, safe=_NAME_CHARACTERS)
    return reason or "-"


def _move_counts(repository: StateRepository) -> Awaitable[MoveCounts]:
    return repository.move_counts()


async def _version(_: StateRepository) -> str:
    return VERSION


async def _lines(lines: list[str]) -> Lines:
    pieces = [wire_form([f"+{len(lines)}", *lines[:LINES_A_TURN]])]
    for first in range(LINES_A_TURN, len(lines), LINES_A_TURN):
        await asyncio.sleep(0)
        pieces.append(wire_form(lines[first : first + LINES_A_TURN]))
    return Lines(b"".join(pieces))


def _whole(result: _Result) -> _Result:
    return result


QUERIES: Mapping[str, Query[Any]] = {
    "u?": Query(_usernames, _whole),
    "c?": Query(_settings, lambda settings: settings.max_connections),
    "m?": Query(_settings, lambda settings: settings.mail_directory),
    "t?": Query(_settings, lambda settings: settings.timeout_seconds),
    "rb?": Query(_counters, lambda counters: counters.retrieved_bytes),
    "re?": Query(_counters, lambda counters: counters.retrieved_emails),
    "xe?": Query(_counters, lambda counters: counters.removed_emails),
    "cc?": Query(_counters, lambda counters: counters.current_connections),
    "cu?": Query(_logged_in_users, _whole),
    "hc?": Query(_counters, lambda counters: counters.historical_connections),
    "hu?": Query(_counters, lambda counters: counters.historical_logins),
    "s?": Query(_sessions, _whole),
    "g?": Query(_slow_downs, _whole),
    "mv?": Query(_moves, _whole),
    "mc?": Query(_move_counts, lambda counts: counts.moved),
    "v?": Query(_version, _whole),
}
"""Every command that only reads, by its commencement."""

NEED_NO_STORE = frozenset({"v?"})
"""Those that are answered while the store is away too (P16)."""


def is_query(request: Request) -> bool:
    """Return whether a request only reads, and has nothing else about it to be reported."""
    return request.command.commencement in QUERIES and not request.surplus_arguments


class Queries:
    """Answers the queries of all sessions of a gateway.

    At most one query of each kind runs at a time. Callers that arrive while it runs share the next one, so
    every answer is at least as fresh as that of a query of their own.
    """

    def __init__(self, repository: StateRepository) -> None:
        self._shared = {
            query.run: _SharedQuery(functools.partial(query.run, repository)) for query in QUERIES.values()
        }

    async def answer(self, commencement: str) -> Answer:
        """Return the answer of a command in `QUERIES`. Raises what the query raises."""
        query = QUERIES[commencement]
        return query.answer(await self._shared[query.run].result())


class _SharedQuery:
    """One kind of query. It keeps no result for later callers."""

    def __init__(self, run: Callable[[], Awaitable[Any]]) -> None:
        self._run = run
        self._next: list[asyncio.Future[Any]] = []
        """The callers that the next query answers."""
        self._callers = 0
        """Those of the next query, and of the one that runs."""
        self._task: asyncio.Task[None] | None = None

    async def result(self) -> Any:
        """Return the result of a query that begins after this call; it is cancelled with its last caller."""
        caller = asyncio.get_running_loop().create_future()
        self._next.append(caller)
        self._callers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._answer_callers())
        try:
            return await caller
        finally:
            self._callers -= 1
            if not self._callers and self._task is not None:
                self._task.cancel()
                self._task = None
                self._next = []

    async def _answer_callers(self) -> None:
        while self._next:
            await asyncio.sleep(0)  # for the other callers of this turn of the event loop
            callers, self._next = self._next, []
            result, error = None, None
            try:
                result = await self._run()
            except Exception as raised:
                error = raised
            for caller in callers:
                if caller.done():  # it was cancelled
                    continue
                if error is None:
                    caller.set_result(result)
                else:
                    caller.set_exception(error)
        self._task = None
