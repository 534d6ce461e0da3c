"""`courierpop3dsizelist`: the unique-ids that Courier gave its messages."""

import re

from pop3_service.maildir.unique_ids import unique_part
from pop3_service.old_unique_ids.old_list import OldList, OldMessage, Present, Unusable

FILE_NAME = "courierpop3dsizelist"
IMAP_FILE_NAME = "courierimapuiddb"

UNUSED_SECONDS = 30 * 86_400
"""If the file is older than Courier IMAP's own by so much, nobody has used POP3 since."""

_HEADER = re.compile(rb"/([23]) +([0-9]{1,20})(?: +([0-9]{1,20}))? *")
_RECORD = re.compile(rb"(.+) [0-9]+ ([0-9]{1,20}):([0-9]{1,20})(?::[0-9]+)?")
_OLD_RECORD = re.compile(rb"(.+) ([0-9]{1,20})")
_NUMBER = re.compile(rb"\s*([+-]?[0-9]{1,20})")
_ESCAPED = re.compile(rb"""[^!-~]|['"+]""")


def is_courier(content: bytes) -> bool:
    """Return whether this looks like the file."""
    return _HEADER.fullmatch(content.partition(b"\n")[0]) is not None


def courier_list(content: bytes, present: Present) -> OldList:
    """Return the unique-ids that Courier gave to the messages that are `present`.

    Lines that Courier skips are skipped and counted. Raises Unusable where no line can be used.
    """
    lines = content.split(b"\n")
    lines.pop()  # a line without an end is not used by Courier either
    if not lines:
        raise Unusable("it is empty, or cut off in its first line")
    if lines[0].startswith(b"/"):
        if _HEADER.fullmatch(lines.pop(0)) is None:
            raise Unusable("line 1 is no header of version 2 or 3")
        read, evidence = _read, "UID<number>-<validity>, as Courier 0.43 and later make them"
    else:
        read, evidence = _read_old, "UID<number>, as Courier before 0.43 made them (the file has no header)"
    records = [record for record in map(read, lines) if record is not None]
    if lines and not records:
        raise Unusable("line 1 is no record of Courier's, and no other line is")
    by_part = {record.part: record for record in records}
    here = [record for part, record in by_part.items() if part in present]
    here.sort(key=lambda record: _order(present[record.part]))
    return OldList(here, evidence, gone=len(by_part) - len(here), skipped=len(lines) - len(records))


def _read(line: bytes) -> OldMessage | None:
    found = _RECORD.fullmatch(line)
    if found is None:
        return None
    part, number, validity = unique_part(found[1]), int(found[2]), int(found[3])
    if not number:
        return OldMessage(part, _ESCAPED.sub(lambda octet: b"+%02X" % octet[0][0], part))
    return OldMessage(part, b"UID%d-%d" % (number, validity) if validity else b"UID%d" % number)


def _read_old(line: bytes) -> OldMessage | None:
    found = _OLD_RECORD.fullmatch(line)
    return OldMessage(unique_part(found[1]), b"UID%d" % int(found[2])) if found is not None else None


def _order(name: bytes) -> tuple[int, bytes]:
    """Return the sort key of a file: the number that its name begins with, then the name up to the flags.

    Of two names that are alike up to the end of one, the colon counts as well.
    """
    number = _NUMBER.match(name)
    base, colon, _ = name.partition(b":")
    return int(number[1]) if number else 0, base + colon
