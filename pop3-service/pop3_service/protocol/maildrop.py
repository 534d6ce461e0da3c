"""One user's mail during a session: numbered messages, marks, and the listings of both.

Message numbers count from 1 and never change during a session, whatever is marked (RFC 1939, section 5).
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, Protocol

from pop3_service.protocol import replies
from pop3_service.protocol.multiline import TERMINATION_LINE


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a session knows it.

    `octets` is its size on the wire, CRLF counted, before byte-stuffing. `location` is for the maildir code,
    which finds the file by it. `is_plain` means that on the wire the message differs from its file only in
    the line ends.
    """

    unique_id: bytes
    octets: int
    location: object
    is_plain: bool = False


class Messages(Protocol):
    """The messages of a maildrop in their order; each may be made when it is read."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Message]: ...
    def __getitem__(self, index: int, /) -> Message: ...


SMALL_MAILDROP: Final = 200
"""Messages of a maildrop that are kept as objects once one is read: they are read again and again. The
listings of a larger one are rendered by its scan."""

LINES_AT_ONCE: Final = 4000
"""Lines of a listing that are separate objects at once while it is rendered."""

_NOTHING_MARKED: Final[frozenset[int]] = frozenset()


class MaildropContents:
    """The messages of one maildrop at one moment; immutable, shared by all sessions that see them.

    `each_octets` and `unique_ids` are those of the messages. The messages of a small maildrop, and the
    replies to STAT, LIST and UIDL with nothing marked, are made on first use and kept: most sessions look for
    new mail, and use none of them or two.
    """

    __slots__ = (
        "_drop_listing",
        "_each_octets",
        "_is_small",
        "_messages",
        "_scan_listing",
        "_unique_id_listing",
        "_unique_ids",
        "octets",
        "summary",
    )

    def __init__(self, messages: Messages, each_octets: Sequence[int], unique_ids: Sequence[bytes]) -> None:
        self.octets: Final = sum(each_octets)
        self.summary: Final = replies.messages_and_octets(len(messages), self.octets)
        """The reply to login and RSET: how many messages with how many octets."""
        self._messages = messages
        self._is_small = len(messages) <= SMALL_MAILDROP
        self._each_octets = each_octets
        self._unique_ids = unique_ids
        self._drop_listing = self._scan_listing = self._unique_id_listing = b""

    @property
    def count(self) -> int:
        """The number of messages."""
        return len(self._messages)

    @property
    def messages(self) -> Messages:
        """The messages, in the order of their numbers."""
        if self._is_small and not isinstance(self._messages, tuple):
            self._messages = tuple(self._messages)
        return self._messages

    @property
    def drop_listing(self) -> bytes:
        """The complete reply to STAT."""
        if not self._drop_listing:
            self._drop_listing = _drop_listing(self.count, self.octets)
        return self._drop_listing

    @property
    def scan_listing(self) -> bytes:
        """The complete reply to LIST without an argument."""
        if not self._scan_listing:
            lines = _numbered(b"%d %d\r\n", self._each_octets)
            self._scan_listing = b"".join([self.summary, *lines, TERMINATION_LINE])
        return self._scan_listing

    @property
    def unique_id_listing(self) -> bytes:
        """The complete reply to UIDL without an argument."""
        if not self._unique_id_listing:
            lines = _numbered(b"%d %b\r\n", self._unique_ids)
            self._unique_id_listing = b"".join([replies.UNIQUE_IDS_FOLLOW, *lines, TERMINATION_LINE])
        return self._unique_id_listing


class Maildrop:
    """What one session sees of a maildrop: the shared contents without the messages that it has marked."""

    __slots__ = ("_contents", "_marked", "_octets")

    def __init__(self, contents: MaildropContents) -> None:
        self._contents = contents
        self._marked: AbstractSet[int] = _NOTHING_MARKED
        self._octets = contents.octets

    @property
    def count(self) -> int:
        """The number of messages that are not marked."""
        return self._contents.count - len(self._marked)

    @property
    def octets(self) -> int:
        """The octets of all messages that are not marked."""
        return self._octets

    def message(self, number: int) -> Message | None:
        """Return message `number`; None when there is none, or it is marked."""
        messages = self._contents.messages
        if not 1 <= number <= len(messages) or number in self._marked:
            return None
        return messages[number - 1]

    def is_marked(self, number: int) -> bool:
        """Return whether message `number` is marked as deleted."""
        return number in self._marked

    def mark_deleted(self, number: int) -> bool:
        """Mark message `number` as deleted; return False, and do nothing, where `message` returns None."""
        message = self.message(number)
        if message is None:
            return False
        if not isinstance(self._marked, set):
            self._marked = set()
        self._marked.add(number)
        self._octets -= message.octets
        return True

    def unmark_all(self) -> None:
        """Remove all marks."""
        self._marked = _NOTHING_MARKED
        self._octets = self._contents.octets

    @property
    def marked_count(self) -> int:
        """The number of messages marked as deleted."""
        return len(self._marked)

    def marked(self) -> tuple[Message, ...]:
        """Return the messages marked as deleted, in the order of their numbers."""
        if not self._marked:
            return ()
        return tuple([self._contents.messages[number - 1] for number in sorted(self._marked)])

    def summary(self) -> bytes:
        """Return the reply to login and RSET: the messages that are not marked, and their octets."""
        return (
            replies.messages_and_octets(self.count, self.octets) if self._marked else self._contents.summary
        )

    def drop_listing(self) -> bytes:
        """Return the reply to STAT: how many messages are not marked, and their octets."""
        return _drop_listing(self.count, self.octets) if self._marked else self._contents.drop_listing

    def scan_listing(self) -> bytes:
        """Return the complete reply to LIST without an argument; marked messages are left out."""
        if not self._marked:
            return self._contents.scan_listing
        return self._without_marked(self.summary(), self._contents.scan_listing)

    def unique_id_listing(self) -> bytes:
        """Return the complete reply to UIDL without an argument; marked messages are left out."""
        if not self._marked:
            return self._contents.unique_id_listing
        return self._without_marked(replies.UNIQUE_IDS_FOLLOW, self._contents.unique_id_listing)

    def _without_marked(self, first_line: bytes, listing: bytes) -> bytes:
        # Line n of a complete listing is message n's: several times faster than rendering the lines again.
        lines = listing.splitlines(keepends=True)
        lines[0] = first_line
        for number in self._marked:
            lines[number] = b""
        return b"".join(lines)


def _drop_listing(count: int, octets: int) -> bytes:
    return b"+OK %d %d\r\n" % (count, octets)


def _numbered(line: bytes, values: Sequence[object]) -> Iterator[bytes]:
    # In blocks: as separate objects lines take several times the memory of their octets.
    for start in range(0, len(values), LINES_AT_ONCE):
        block = values[start : start + LINES_AT_ONCE]
        yield b"".join([line % numbered for numbered in enumerate(block, start + 1)])
