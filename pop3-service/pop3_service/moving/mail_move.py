"""Moves one user's mail: afterwards all that the old server lists is in the maildir, under its unique-ids."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pop3_client import Misbehaved, Pop3Client, Refused
from pop3_service.maildir import Maildirs
from pop3_service.moving.arrivals import Arrival, Arrivals, PresentMail
from pop3_service.moving.wanted import (
    HeaderDigest,
    StoredForm,
    WantedMessage,
    arrived_keys,
    key_in,
    wanted_messages,
)
from pop3_service.protocol.maildrop import Message
from state_store.moves import MoveProgress

AT_ONCE_OCTETS = 1 << 18
"""A message is written to the disk each time that so much of it has come."""

LARGEST_MESSAGE_OCTETS = 1 << 31

SURPLUS_OCTETS = 1 << 24
"""How many octets all messages together may have beyond twice the listed ones: some servers do not count the
CR of line ends."""

ROOM_CHECK_OCTETS = 1 << 26
"""The free space of the disk is checked again after so many octets."""


@dataclass(frozen=True, slots=True)
class MoveResult:
    """How a move went."""

    messages: int
    """Those that the old server lists; the other figures are parts of it."""
    fetched: int
    matched: int
    """Were in the maildir before, delivered or copied there by others."""
    without_old_id: int
    """Get a unique-id of ours: the old one belongs to another message too, or POP3 does not allow it."""
    other_octets: int
    """Had other octets when they were fetched than the old server lists."""


class MailMove:
    """Moves one user's mail. `progress` is awaited with what is here after each message.

    Raises `Pop3Error`, `MaildirUnreadable`, `MoveLost`, OSError, and ValueError if there are more messages
    than `peep-unique-ids` may have lines. What is here by then stays, and the next move continues from there.
    """

    def __init__(
        self,
        client: Pop3Client,
        arrivals: Arrivals,
        maildirs: Maildirs,
        run: Callable[..., Awaitable[Any]],
        progress: Callable[[MoveProgress], Awaitable[None]],
        now: Callable[[], float],
    ) -> None:
        self._client = client
        self._arrivals = arrivals
        self._maildirs = maildirs
        self._run = run
        self._progress = progress
        self._now = now
        self._other_octets = 0
        self._may_come = 0
        self._unchecked = 0

    async def move(self) -> MoveResult:
        """Match what is here with what the old server lists, note the unique-ids, fetch what is missing."""
        if (await self._client.capabilities()).get("EXPIRE", ())[:1] == ("0",):
            raise Misbehaved("it removes what is fetched (EXPIRE 0): nothing is fetched")
        wanted = wanted_messages(await self._client.messages())
        present: PresentMail = await self._on_disk(self._arrivals.present, self._maildirs)
        await self._on_disk(self._arrivals.clear)
        parts = await self._parts(wanted, present)
        missing = [
            (message, part)
            for message, part in zip(wanted, parts, strict=True)
            if part not in present.messages and key_in(part) == message.key
        ]
        octets = sum(message.octets for message, _ in missing)
        self._may_come = 2 * octets + SURPLUS_OCTETS
        if missing:
            await self._on_disk(self._arrivals.require_room, octets)
        noted = dict(present.copied)
        for message, part in zip(wanted, parts, strict=True):
            noted.setdefault(part, message.unique_id)
        if noted != present.copied:
            await self._on_disk(self._arrivals.note, noted)
        here = len(wanted) - len(missing)
        await self._progress(MoveProgress(here, len(wanted)))
        for number, (message, part) in enumerate(missing, 1):
            await self._fetch(message, part)
            await self._progress(MoveProgress(here + number, len(wanted)))
        await self._on_disk(self._arrivals.settle)
        return MoveResult(
            len(wanted),
            len(missing),
            sum(key_in(part) is None for part in parts),
            sum(not message.unique_id for message in wanted),
            self._other_octets,
        )

    async def _on_disk(self, do: Callable[..., Any], *arguments: object) -> Any:
        """Run `do` in a thread. Cancelling waits for its end: it may have files open."""
        job = asyncio.ensure_future(self._run(do, *arguments))
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            await asyncio.wait((job,))
            raise

    # Which file is which message

    async def _parts(self, wanted: Sequence[WantedMessage], present: PresentMail) -> list[bytes]:
        """Return for each wanted message the unique part of its file, which may be still to be fetched."""
        known = {unique_id: part for part, unique_id in present.copied.items() if unique_id}
        arrived = arrived_keys([*present.copied, *present.messages])
        matches = _Matches(present, self._header_here, self._header_there)
        seconds = int(self._now())
        parts = []
        for message in wanted:
            part = known.get(message.unique_id) or arrived.get(message.key) or await matches.part(message)
            parts.append(part or message.file_name(seconds))
        return parts

    async def _header_here(self, message: Message) -> bytes:
        digest: bytes = await self._on_disk(self._arrivals.header_digest, message)
        return digest

    async def _header_there(self, message: WantedMessage) -> bytes:
        digest = HeaderDigest()
        try:
            async for piece in self._client.header(message.number):
                digest.feed(piece)
        except Refused:  # it has no TOP, or the message is gone
            return b""
        return digest.value()

    # Fetching

    async def _fetch(self, message: WantedMessage, part: bytes) -> None:
        most = min(LARGEST_MESSAGE_OCTETS, 2 * message.octets + AT_ONCE_OCTETS, self._may_come)
        stored, pieces, octets, waiting = StoredForm(), list[bytes](), 0, 0
        arrival = self._arrivals.begin()
        try:
            async for piece in self._client.message(message.number):
                octets += len(piece)
                if octets > most:
                    raise Misbehaved(
                        f"message {message.number} does not end after {octets:,} octets;"
                        f" {message.octets:,} are listed"
                    )
                pieces.append(stored.feed(piece))
                waiting += len(piece)
                if waiting > AT_ONCE_OCTETS:
                    await self._on_disk(arrival.write, pieces)
                    pieces, waiting = [], 0
            await self._on_disk(self._keep, arrival, [*pieces, stored.end()], part)
        except BaseException:
            await self._on_disk(arrival.discard)
            raise
        self._other_octets += octets != message.octets
        self._may_come -= octets
        self._unchecked += octets
        if self._unchecked > ROOM_CHECK_OCTETS:
            self._unchecked = 0
            await self._on_disk(self._arrivals.require_room, 0)

    def _keep(self, arrival: Arrival, pieces: Sequence[bytes], part: bytes) -> None:
        arrival.write(pieces)
        self._arrivals.keep(arrival, part)


class _Matches:
    """Finds wanted messages among those that were in the maildir before: by octets, then by headers."""

    def __init__(
        self,
        present: PresentMail,
        header_here: Callable[[Message], Awaitable[bytes]],
        header_there: Callable[[WantedMessage], Awaitable[bytes]],
    ) -> None:
        self._header_here = header_here
        self._header_there = header_there
        self._digests: dict[bytes, bytes] = {}
        self._by_octets: defaultdict[int, dict[bytes, Message]] = defaultdict(dict)
        for part, message in present.messages.items():
            # One that has an old unique-id already, or was fetched, has its counterpart on the old server.
            if not present.copied.get(part) and key_in(part) is None:
                self._by_octets[message.octets][part] = message

    async def part(self, wanted: WantedMessage) -> bytes | None:
        """Return the unique part of the first message here that is the wanted one; none is returned twice."""
        candidates = self._by_octets.get(wanted.octets)
        if not candidates:
            return None
        there = await self._header_there(wanted)
        for part, message in candidates.items():
            if part not in self._digests:
                self._digests[part] = await self._header_here(message)
            if there and self._digests[part] == there:
                del candidates[part]
                return part
        return None
