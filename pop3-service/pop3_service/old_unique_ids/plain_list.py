"""Unique-ids that are the names of the files, and lists from any other server."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from pop3_service.maildir.unique_ids import unique_part
from pop3_service.old_unique_ids.old_list import OldList, OldMessage, Present, Unusable

_NAMED = re.compile(rb"([^/\0\t]{1,255})(?:\t([^\0\t]*)| ([^\0\t ]+))")
_NUMBERED = re.compile(rb"([0-9]{1,9})[ \t]+([^\0\t ]+)[ \t]+([0-9]{1,18})")
_UIDL = re.compile(rb"([0-9]{1,9})[ \t]+[^\0\t ]+")


def names_list(mtimes: Mapping[bytes, int]) -> OldList:
    """Return the unique-ids of qmail-pop3d and vpopmail: unique parts, in the order of `mtimes`."""
    parts = sorted(mtimes, key=lambda part: (mtimes[part], part))
    messages = [OldMessage(part, part) for part in parts]
    return OldList(messages, "base names in the order of the files' times, as qmail makes them")


def is_numbered(content: bytes) -> bool:
    """Return whether the lines are `NUMBER UNIQUE-ID OCTETS`."""
    lines = _lines(content)
    return bool(lines) and all(_NUMBERED.fullmatch(line) for _, line in lines)


def named_list(content: bytes, present: Present) -> OldList:
    """Return what lines `BASE-NAME UNIQUE-ID` say, with a tab or a space, about the messages `present`.

    Raises Unusable.
    """
    lines = _lines(content)
    by_part: dict[bytes, bytes] = {}
    first_lines: dict[bytes, int] = {}
    for number, line in lines:
        found = _NAMED.fullmatch(line)
        if found is None:
            raise Unusable(f"line {number} is not `BASE-NAME UNIQUE-ID`")
        part = unique_part(found[1])
        if part in by_part:
            raise Unusable(f"line {number} is about the same message as line {first_lines[part]}")
        by_part[part] = found[3] or found[2] or b""
        first_lines[part] = number
    here = [OldMessage(part, unique_id) for part, unique_id in by_part.items() if part in present]
    if not here and lines and all(_UIDL.fullmatch(line) for _, line in lines):
        raise Unusable(
            "it is a UIDL list, which does not tell which file is which message:"
            " put a message's octets, as LIST shows them, behind each line"
        )
    return OldList(here, "a list of base names and unique-ids", gone=len(by_part) - len(here))


def numbered_list(content: bytes, octets: Sequence[tuple[bytes, int]]) -> OldList:
    """Return what lines `NUMBER UNIQUE-ID OCTETS` say about the messages with these unique parts and octets.

    Only a message whose octets no other one has is identified with certainty: a message that gets the
    unique-id of another one is hidden from clients, which take it for that one.
    """
    files: defaultdict[int, list[bytes]] = defaultdict(list)
    for part, size in octets:
        files[size].append(part)
    found = [_NUMBERED.fullmatch(line) for _, line in _lines(content)]
    listed = sorted((int(each[1]), each[2], int(each[3])) for each in found if each is not None)
    entries = Counter(size for _, _, size in listed)
    messages: list[OldMessage] = []
    gone = unmatched = 0
    for _, unique_id, size in listed:
        if size not in files:
            gone += 1
        elif len(files[size]) == entries[size] == 1:
            messages.append(OldMessage(files[size][0], unique_id))
        else:
            unmatched += 1
    return OldList(messages, "a UIDL list, matched by octets", gone=gone, unmatched=unmatched)


def _lines(content: bytes) -> list[tuple[int, bytes]]:
    """Return the numbered lines without those that a POP3 server adds: the status, the final dot."""
    lines = [(number, line.removesuffix(b"\r")) for number, line in enumerate(content.split(b"\n"), 1)]
    return [(number, line) for number, line in lines if line not in {b"", b"."} and line[:3] != b"+OK"]
