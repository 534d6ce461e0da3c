"""The messages of an old server as they are to be here: unique-ids, file names, form of the content."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from pop3_client import ListedMessage
from pop3_service.maildir.unique_ids import OWN_FORM, unique_part

_UNIQUE_ID = re.compile(rb"[!-~]{1,70}")
_KEY_OCTETS = 16
_ARRIVED = re.compile(rb"[0-9]+\.P([0-9a-f]{32})\.moved")

LONGEST_HEADER_OCTETS = 1 << 20
"""Only so much of a longer header is compared."""


@dataclass(frozen=True, slots=True)
class WantedMessage:
    """A message of the old server."""

    number: int
    octets: int
    unique_id: bytes
    """The old one, if the message can keep it; empty if it gets one of ours."""
    key: str
    """Names this message, the same in every session with the old server."""

    def file_name(self, seconds: int) -> bytes:
        """Return the name of its file; `seconds` since the epoch say when it was fetched."""
        return f"{seconds}.P{self.key}.moved".encode()


def wanted_messages(listed: Sequence[ListedMessage]) -> list[WantedMessage]:
    """Return the messages that the old server lists, in its order, with the unique-ids that they keep.

    Of several messages with one unique-id the first keeps it. A unique-id that RFC 1939 does not allow, or
    that looks like ours, is not kept.
    """
    counts: Counter[bytes] = Counter()
    wanted = []
    for message in listed:
        unique_id = message.unique_id
        occurrence = counts[unique_id]
        counts[unique_id] += 1
        key = blake2b(b"%b %d" % (unique_id, occurrence), digest_size=_KEY_OCTETS).hexdigest()
        is_kept = not occurrence and _UNIQUE_ID.fullmatch(unique_id) and not OWN_FORM.fullmatch(unique_id)
        wanted.append(WantedMessage(message.number, message.octets, unique_id if is_kept else b"", key))
    return wanted


def key_in(part: bytes) -> str | None:
    """Return the key in the unique part of a file that was fetched, None for other files."""
    found = _ARRIVED.fullmatch(part)
    return found[1].decode() if found is not None else None


class StoredForm:
    """Turns a message as it comes, with CRLF line ends, into the form in which maildirs keep it, with LF.

    What is sent again later has the same octets: a CRLF after another CR stays as it is, since that CR and a
    bare LF would be taken for one line end.
    """

    __slots__ = ("_held_back",)

    def __init__(self) -> None:
        self._held_back = b""

    def feed(self, content: bytes) -> bytes:
        """Return the stored form of the next octets, which may be cut anywhere."""
        octets = self._held_back + content
        kept = 2 if octets.endswith(b"\r\r") else 1 if octets.endswith(b"\r") else 0
        cut = len(octets) - kept
        self._held_back, octets = octets[cut:], octets[:cut]
        if b"\r\r\n" in octets:
            return re.sub(rb"(?<!\r)\r\n", b"\n", octets)
        return octets.replace(b"\r\n", b"\n")

    def end(self) -> bytes:
        """Return what was held back."""
        return self._held_back


class HeaderDigest:
    """A digest of a message's header, the same for all forms of line ends."""

    __slots__ = ("_digest", "_last", "_octets", "is_complete")

    def __init__(self) -> None:
        self._digest = blake2b(digest_size=_KEY_OCTETS)
        self._last = b"\n"
        self._octets = 0
        self.is_complete = False

    def feed(self, content: bytes) -> None:
        """Take the next octets of the message, which may be cut anywhere."""
        if self.is_complete:
            return
        octets = self._last + content.replace(b"\r", b"")
        end = octets.find(b"\n\n")
        self.is_complete = end >= 0 or self._octets > LONGEST_HEADER_OCTETS
        header = octets[1 : end + 1] if end >= 0 else octets[1:]
        self._octets += len(header)
        self._digest.update(header)
        self._last = octets[-1:]

    def value(self) -> bytes:
        """Return the digest of the header."""
        return self._digest.digest()


def arrived_keys(names: Sequence[bytes]) -> dict[str, bytes]:
    """Return the unique part of the file of each message that was fetched, by its key."""
    parts = map(unique_part, names)
    return {key: part for part in parts if (key := key_in(part)) is not None}
