"""`dovecot-uidlist`: the UIDs that Dovecot gave its messages, and the unique-ids that it saved."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pop3_service.maildir.unique_ids import unique_part
from pop3_service.old_unique_ids.old_list import OldList, OldMessage, Present, Unusable
from pop3_service.old_unique_ids.uidl_format import DEFAULT, KNOWN, Facts, UidlFormat

FILE_NAME = "dovecot-uidlist"

_HEADER = re.compile(rb"3((?: [A-Za-z][^ \n]*)*)")
_OLD_HEADER = re.compile(rb"1 ([0-9]{1,10}) ([0-9]{1,10})")
_RECORD = re.compile(rb"([0-9]{1,10})((?: [A-Z][^ \n]*)*) :([^/\0]{1,255})")
_OLD_RECORD = re.compile(rb"([0-9]{1,10}) ([^/\0]{1,255})")
_LARGEST_UID = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class _Record:
    facts: Facts
    saved: bytes | None
    order: int | None


def is_dovecot(content: bytes) -> bool:
    """Return whether this looks like the file."""
    line = content.partition(b"\n")[0]
    return bool(_HEADER.fullmatch(line) and b" V" in line) or bool(_OLD_HEADER.fullmatch(line))


def dovecot_list(
    content: bytes, present: Present, wanted: UidlFormat | None, in_header: Mapping[bytes, bytes]
) -> OldList:
    """Return the unique-ids that Dovecot gave to the messages that are `present`.

    Without a `wanted` format they are made by the one that the saved unique-ids have, else by Dovecot's
    default. `in_header` has the X-UIDL of each unique part, where Dovecot used it. Raises Unusable.
    """
    records: dict[bytes, _Record] = {}
    gone: set[bytes] = set()
    for record in _records(content):
        if record.facts.filename in present:
            records[record.facts.filename] = record  # the later line holds
        else:
            gone.add(record.facts.filename)
    here = sorted(records.values(), key=_uid)
    form, evidence = _format(here, wanted)
    unique_ids, renamed = _unique_ids(here, form, in_header)
    here.sort(key=lambda record: (record.order is None, record.order or 0, record.facts.uid))
    return OldList(
        [OldMessage(record.facts.filename, unique_ids[record.facts.uid]) for record in here],
        evidence,
        gone=len(gone),
        renamed=renamed,
    )


def _uid(record: _Record) -> int:
    return record.facts.uid


def _format(records: list[_Record], wanted: UidlFormat | None) -> tuple[UidlFormat, str]:
    saved = [record for record in records if record.saved is not None]
    kept = f"{len(saved):,} saved by Dovecot" if saved else ""
    if saved and len(saved) == len(records):
        return UidlFormat(DEFAULT), kept
    if wanted is not None:
        return wanted, "; ".join(filter(None, [kept, f"{wanted.text} as --uidl-format says"]))
    for form in map(UidlFormat, KNOWN):
        if saved and all(form.unique_id(record.facts) == record.saved for record in saved):
            return form, f"{kept}; {form.text} as these show"
    default = f"{DEFAULT}, Dovecot's default (check it with `doveconf pop3_uidl_format`; see --uidl-format)"
    return UidlFormat(DEFAULT), "; ".join(filter(None, [kept, default]))


def _unique_ids(
    records: list[_Record], form: UidlFormat, in_header: Mapping[bytes, bytes]
) -> tuple[dict[int, bytes], int]:
    """Return the unique-id of each UID, and how many were renamed as by `pop3_uidl_duplicates=rename`."""
    unique_ids: dict[int, bytes] = {}
    counts: dict[bytes, int] = {}
    renamed = 0
    for record in records:
        unique_id = record.saved or in_header.get(record.facts.filename) or form.unique_id(record.facts)
        renamed += unique_id in counts
        while unique_id in counts:
            counts[unique_id] += 1
            unique_id += b"-%d" % counts[unique_id]
        counts[unique_id] = 1
        unique_ids[record.facts.uid] = unique_id
    return unique_ids, renamed


def _records(content: bytes) -> Iterator[_Record]:
    lines = content.split(b"\n")
    lines.pop()  # a last line without an end is not there yet
    if not lines:
        raise Unusable("it is empty, or cut off in its first line")
    uidvalidity, is_old = _header(lines[0])
    last_uid = 0
    for number, line in enumerate(lines[1:], 2):
        found = (_OLD_RECORD if is_old else _RECORD).fullmatch(line)
        if found is None:
            raise _damaged(number, "is no record")
        uid = int(found[1])
        if not last_uid < uid <= _LARGEST_UID:
            raise _damaged(number, f"has the UID {uid} after {last_uid}")
        last_uid = uid
        yield _old_record(found, uidvalidity, uid) if is_old else _record(found, uidvalidity, uid, number)


def _header(line: bytes) -> tuple[int, bool]:
    old = _OLD_HEADER.fullmatch(line)
    found = re.search(rb" V([0-9]{1,10})(?: |\Z)", line) if _HEADER.fullmatch(line) else None
    uidvalidity = int((old or found or [b"", b"0"])[1])
    if not 0 < uidvalidity <= _LARGEST_UID:
        raise _damaged(1, "is no header of version 1 or 3 with a UIDVALIDITY")
    return uidvalidity, old is not None


def _old_record(found: "re.Match[bytes]", uidvalidity: int, uid: int) -> _Record:
    part = unique_part(found[2])
    return _Record(Facts(uidvalidity, uid, part, part), None, None)


def _record(found: "re.Match[bytes]", uidvalidity: int, uid: int, number: int) -> _Record:
    part = unique_part(found[3])
    values = {field[:1]: field[1:] for field in found[2].split(b" ")[1:]}
    saved, order = values.get(b"P"), values.get(b"O")
    if order is not None and not re.fullmatch(rb"[0-9]{1,10}", order):
        raise _damaged(number, "has an order (O) that is no number")
    return _Record(
        Facts(uidvalidity, uid, part, values.get(b"G") or part),
        part if saved == b"" else saved,
        int(order) if order is not None else None,
    )


def _damaged(number: int, what: str) -> Unusable:
    return Unusable(f"line {number} {what}")
