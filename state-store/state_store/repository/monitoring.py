"""What operators watch: counters, sessions, instances, latencies, activity."""

import asyncio
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from state_store.activities import ACTIVITY_LENGTH, Activity, ActivityKind
from state_store.audit import Actor
from state_store.errors import StoreUnavailable, UnknownSession
from state_store.latency import DAMAGED_UNIQUE_IDS, histogram, refused
from state_store.records import Counters, Instance, InstanceStatus, Latencies, SessionRow
from state_store.redis import keys
from state_store.repository.answers import POLL_SECONDS, pairs, stream_position
from state_store.repository.deployment import DeploymentStore
from state_store.vitals import Vitals

CLOSING_SECONDS = 3.0
"""How long the end of a session that is to be closed is waited for: it may be removing mail."""

ASKING_SECONDS = 0.25
"""After so long its instance is notified again: the first notification may have been lost."""


CLOSED_AT_ONCE = 16
"""Of many sessions: no more connections to Redis than others leave free."""


_KINDS = {kind.value for kind in ActivityKind}

_DETAILS_OF_SESSIONS = ("username", "session", "instance", "address")
"""What a login's line has after its kind; a logout has no address."""


@dataclass(frozen=True, slots=True)
class Overview:
    """What is seen of Peep at one moment; `logged_in` are some of the users who are."""

    counters: Counters
    max_connections: int
    logged_in: tuple[str, ...]


class MonitoringRepository(DeploymentStore):
    """The state of all instances together."""

    async def counters(self) -> Counters:
        """Return all counters and gauges."""
        return _counters(await self._client.script("observe"))

    async def overview(self, names: int) -> Overview:
        """Return the counters, the connection limit and so many names at most, all of one moment.

        The names of logged-in users are the first in their order; where thousands are logged in, any of them.
        """
        *counted, limit, found = await self._client.script("observe", names)
        return Overview(_counters(counted), int(limit), tuple(sorted(found)[:names]))

    async def logged_in_users(self) -> list[str]:
        """Return the names of users with an open session, sorted, each once (P13)."""
        return sorted(await self._client.script("logged_in_users"))

    async def sessions(self) -> list[SessionRow]:
        """Return the open connections of all live instances, the oldest first."""
        found = [
            SessionRow(session_id, instance_id, *json.loads(row))
            for instance_id, rows in await self._client.script("sessions")
            for session_id, row in pairs(rows).items()
        ]
        return sorted(found, key=lambda session: (session.connected_at, session.session_id))

    async def session_of(self, username: str) -> SessionRow | None:
        """Return the session that has a user's maildrop open; None also for one of the last 30 ms."""
        instance_id, session_id, *row = await self._client.script("session_of", username) or ["", ""]
        return SessionRow(session_id, instance_id, *json.loads(row[0])) if row else None

    async def close_session(self, session_id: str, *, by: Actor) -> None:
        """Have a POP3 session closed without UPDATE, and return once it is.

        Raises `UnknownSession`. A session that is removing mail ends only after that. One whose login is told
        already is known, though it is not among `sessions` yet.
        """
        try:
            await self._close(session_id, by)
        except UnknownSession:
            username = await self._user_without_a_row(session_id)
            if not username:
                raise
            await self._close(session_id, by, username)

    async def _user_without_a_row(self, session_id: str) -> str:
        """Return whose maildrop a session holds, empty for nobody's. Redis serves others in between."""
        cursor = "0"
        while True:
            cursor, username = await self._client.script("find_session", session_id, cursor)
            if cursor == "0":
                return str(username)

    async def _close(self, session_id: str, by: Actor, holder: str = "") -> None:
        packed = by.packed()
        username = await self._client.script("close_session", packed, session_id, 1, holder)
        if username is None:
            raise UnknownSession
        loop = asyncio.get_running_loop()
        end, ask_again_at = loop.time() + CLOSING_SECONDS, loop.time() + ASKING_SECONDS
        is_asking = False
        while (
            await self._client.script("close_session", packed, session_id, int(is_asking), username)
        ) is not None:
            if loop.time() > end:
                raise StoreUnavailable("the session's instance has not closed it")
            await asyncio.sleep(POLL_SECONDS)
            is_asking = loop.time() > ask_again_at
            if is_asking:
                ask_again_at += ASKING_SECONDS

    async def close_sessions(self, session_ids: Sequence[str], *, by: Actor) -> list[str]:
        """Close these sessions, each in a step of its own; return the ids of those that are still open.

        One that has ended meanwhile is closed, and in no audit.
        """
        places = asyncio.Semaphore(CLOSED_AT_ONCE)

        async def is_open_after_all(session_id: str) -> bool:
            async with places:
                try:
                    await self._close(session_id, by)
                except UnknownSession:
                    return False
                except StoreUnavailable:
                    return True
            return False

        still_open = await asyncio.gather(*map(is_open_after_all, session_ids))
        return list(itertools.compress(session_ids, still_open))

    async def instances(self) -> list[InstanceStatus]:
        """Return the live POP3 instances, the oldest first."""
        found = [
            _instance_status(instance_id, lease_ms, pairs(row))
            for instance_id, lease_ms, row in await self._client.script("instances")
        ]
        return sorted(found, key=lambda status: status.instance.started_at)

    async def latencies(self) -> Latencies:
        """Return how long commands and logins have taken over all instances, up to a few seconds ago."""
        fields = pairs(await self._client.command("HGETALL", keys.LATENCIES))
        return Latencies(
            histogram("command", fields),
            histogram("login", fields),
            refused(fields),
            int(fields.get(DAMAGED_UNIQUE_IDS, 0)),
        )

    async def last_activity_id(self) -> str:
        """Return the id of the newest activity; there need not be one yet."""
        _, last, *_ = await self._client.script("activity", "0-0", 1)
        return str(last)

    async def activity_after(
        self, activity_id: str, limit: int = ACTIVITY_LENGTH
    ) -> tuple[list[Activity], bool]:
        """Return at most `limit` activities after this one, the oldest first, and whether any are missing.

        Fewer than `limit` are all that there are. At least the last `ACTIVITY_LENGTH` are remembered. After
        an id that this store cannot have given out, they begin with the first one that it remembers.
        """
        first, last, added, length, entries = await self._client.script("activity", activity_id, limit)
        if stream_position(activity_id) > stream_position(last):
            found, _ = await self.activity_after("0-0", limit)
            return found, True
        is_gap = added > length and stream_position(activity_id) < stream_position(first)
        found = [
            activity
            for entry_id, fields in entries
            for activity in _activities(entry_id, pairs(fields))
            if stream_position(activity.activity_id) > stream_position(activity_id)
        ]
        return found[:limit], is_gap


def _counters(answer: Iterable[str]) -> Counters:
    nbytes, retrieved, removed, connections, logins, current, logged_in = map(int, answer)
    return Counters(nbytes, retrieved, removed, current, logged_in, connections, logins)


def _instance_status(instance_id: str, lease_ms: int, row: dict[str, str]) -> InstanceStatus:
    instance = Instance(
        instance_id,
        row["host"],
        int(row["process_id"]),
        row["version"],
        float(row["started_at"]),
        int(row["worker"]),
        knows_refusals=int(row.get("knows_refusals", 0)),
    )
    return InstanceStatus(
        instance,
        lease_ms / 1000,
        int(row.get("open", 0)),
        int(row.get("reserved", 0)),
        float(row.get("load", 0)),
        Vitals.told(row),
        float(row.get("clock_ahead", 0)),
    )


def _activities(entry_id: str, fields: dict[str, str]) -> Iterator[Activity]:
    """Yield the activities of an entry of the stream; see `prelude.lua` for how several share one.

    One of a kind that only a later version knows is left out.
    """
    milliseconds, number = stream_position(entry_id)
    kind, more = fields.pop("kind"), fields.pop("more", "")
    if kind not in _KINDS:
        return
    yield Activity(entry_id, ActivityKind(kind), milliseconds / 1000, fields)
    for further, line in enumerate(more.split("\n") if more else (), start=1):
        kind, *values = line.split(" ")
        details = dict(zip(_DETAILS_OF_SESSIONS, values, strict=False))
        yield Activity(f"{milliseconds}-{number + further}", ActivityKind(kind), milliseconds / 1000, details)
