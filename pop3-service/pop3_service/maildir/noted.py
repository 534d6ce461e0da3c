"""`peep-unique-ids`, beside `new` and `cur`: the unique-ids that the names of a maildir's files do not tell.

A line `UNIQUE PART<tab>UNIQUE-ID` is a message of the server that was here before Peep, and the lines are in
that server's order (D80). Without a unique-id the message has ours, in this place. A line without a tab is
the unique-id of a namesake (D52): Peep appends these itself.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO

from pop3_service.maildir.file_location import FileIdentity
from pop3_service.maildir.folder import ABSENT_ERRORS, OPEN_FLAGS, Folder, beside
from pop3_service.maildir.unique_ids import OWN_FORM, encoded, unique_id_of

FILE_NAME = b"peep-unique-ids"

MOST_LINES = 500_000
"""As many messages as a process remembers. While a scan runs, so many lines take some 150 MB."""

LARGEST_OCTETS = 1 << 26

LONGEST_LINE_OCTETS = 512
"""A file name has at most 255 octets, a unique-id 70."""

_COPIED = re.compile(rb"([^/:\t\n\0]{1,255})\t([!-~]{0,70})\n")
_OWN = re.compile(rb"(?:%b)\n" % OWN_FORM.pattern)

_APPEND_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_FOR_THE_OWNER = 0o600


@dataclass(frozen=True, slots=True)
class NotedUniqueIds:
    """What the file of a maildir says."""

    own: AbstractSet[bytes] = frozenset()
    """Unique-ids of namesakes."""
    copied: Mapping[bytes, bytes] = field(default_factory=dict)
    """The unique-id of each unique part in the old server's order, empty where the message has ours."""
    taken: AbstractSet[bytes] = frozenset()
    """The unique-ids in `copied`: no other message gets one, whether theirs are still there or not."""
    identity: FileIdentity | None = None
    """That of the file; None where there is none."""
    damage: str = ""
    """What of it cannot be used, in words for an operator; empty if all is well."""
    is_cut_off: bool = False
    """Whether the file ends in the middle of a line."""

    def plain_id(self, part: bytes) -> bytes:
        """Return the unique-id of the message with a unique part, of several the first one's."""
        copied = self.copied.get(part)
        if copied:
            return copied
        unique_id = unique_id_of(part)
        # `part` contains no colon, and a namesake's text has digits after it.
        return encoded(part + b":") if unique_id in self.taken else unique_id


NOTHING_NOTED = NotedUniqueIds()


def read_noted(folders: Sequence[Folder]) -> NotedUniqueIds:
    """Return the unique-ids that are noted in the maildir of these folders; blocks on the disk.

    What cannot be used of a damaged file is left out, and said in `damage`. Raises OSError when the file
    exists and cannot be read: without it messages would get other unique-ids.
    """
    if not folders:
        return NOTHING_NOTED
    try:
        status = folders[0].status(beside(FILE_NAME))
        # It is opened only if it is a regular file: opening a device may have effects.
        descriptor = folders[0].open_beside(FILE_NAME, OPEN_FLAGS) if stat.S_ISREG(status.st_mode) else None
    except OSError as error:
        if error.errno in ABSENT_ERRORS:
            return NOTHING_NOTED
        raise
    if descriptor is None:
        return NotedUniqueIds(identity=FileIdentity.of(status), damage="it is no regular file")
    try:
        identity = FileIdentity.of(os.fstat(descriptor))  # before reading: a later change is then noticed
        with open(descriptor, "rb", closefd=False) as file:
            return _Parser().parse(file, identity)
    finally:
        os.close(descriptor)


def note_own(folders: Sequence[Folder], noted: NotedUniqueIds, unique_ids: Iterable[bytes]) -> None:
    """Append unique-ids of namesakes; blocks on the disk.

    Without space, or the right to write, nothing is noted and no login fails: the unique-ids then stay the
    same as long as both files are there.
    """
    lines = [b"\n"] if noted.is_cut_off else []
    lines += [unique_id + b"\n" for unique_id in unique_ids]
    with suppress(OSError):
        descriptor = folders[0].open_beside(FILE_NAME, _APPEND_FLAGS, _FOR_THE_OWNER)
        try:
            status = os.fstat(descriptor)
            is_ours = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
            if is_ours and status.st_size <= LARGEST_OCTETS:
                os.write(descriptor, b"".join(lines))
        finally:
            os.close(descriptor)


class _Parser:
    """Reads one file, line by line: no step keeps the other threads from running for long."""

    def __init__(self) -> None:
        self._own: set[bytes] = set()
        self._copied: dict[bytes, bytes] = {}
        self._taken: set[bytes] = set()
        self._first_fault = self._faults = 0

    def parse(self, file: BinaryIO, identity: FileIdentity) -> NotedUniqueIds:
        line, lines = b"\n", _lines(file)
        for number, line in enumerate(islice(lines, MOST_LINES), 1):
            if not self._take(line):
                self._faults += 1
                self._first_fault = self._first_fault or number
        is_cut_off = not line.endswith(b"\n")
        is_too_large = identity.size > LARGEST_OCTETS or next(lines, None) is not None
        damage = self._damage(is_too_large=is_too_large)
        return NotedUniqueIds(self._own, self._copied, self._taken, identity, damage, is_cut_off)

    def _take(self, line: bytes) -> bool:
        """Take note of a line, and return whether all of it could be used."""
        copied = _COPIED.fullmatch(line)
        if copied is None:
            if _OWN.fullmatch(line):
                self._own.add(line[:-1])
                return True
            return line == b"\n"
        part, unique_id = copied.groups()
        if part in self._copied:
            return False
        if not unique_id:
            self._copied[part] = b""
            return True
        # One in the form of ours could be that of another message.
        is_usable = unique_id not in self._taken and not OWN_FORM.fullmatch(unique_id)
        self._copied[part] = unique_id if is_usable else b""
        if is_usable:
            self._taken.add(unique_id)
        return is_usable

    def _damage(self, *, is_too_large: bool) -> str:
        faults = []
        if self._faults:
            more = f" and {self._faults - 1} more" if self._faults > 1 else ""
            faults.append(f"line {self._first_fault}{more} cannot be used")
        if is_too_large:
            faults.append(f"it has over {MOST_LINES} lines or {LARGEST_OCTETS} octets: the rest is not read")
        return "; ".join(faults)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines with their ends; of one that is too long only the beginning, without an end."""
    octets = 0
    while octets < LARGEST_OCTETS and (line := file.readline(LONGEST_LINE_OCTETS)):
        yield line
        octets += len(line)
        while line and not line.endswith(b"\n") and octets < LARGEST_OCTETS:
            line = file.readline(LONGEST_LINE_OCTETS)
            octets += len(line)
