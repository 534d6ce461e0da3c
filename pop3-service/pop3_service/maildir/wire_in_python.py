"""A message's file in its wire form, and how many octets that has; `_wire.c` does the same, and faster."""

import os

from pop3_service.protocol.multiline import octets_and_plainness, wire_form, wire_lines


def read_wire(
    descriptor: int, position: int, count: int, flags: int, before: int, is_last: bool, is_plain: bool
) -> bytes | None:
    """Return `count` octets of a message's file as wire lines, or None when the file has fewer at `position`.

    `flags` are those of preadv2: RWF_NOWAIT for the page cache alone. `before` is the octet before them in
    the message, LF at its beginning. With `is_last` the end of the message follows. `is_plain` says that it
    is the whole message, and plain (see `octets_and_plainness`); that spares this function half of its work.

    Raises OSError as the system gives it: BlockingIOError when it would have to wait.
    """
    content = bytearray(count)
    length = os.preadv(descriptor, [content], position, flags) if count else 0
    if length != count:
        return None
    return wire_form(content, before, plain=is_plain) if is_last else wire_lines(bytes(content), before)


def count_wire(descriptor: int, position: int, count: int, before: int) -> tuple[int, int, int, bool]:
    """Read up to `count` octets of a message's file; return what they are on the wire.

    That is: how many were read; their octets on the wire; the last one read, or `before` when none was;
    whether they are plain (`octets_and_plainness`). Raises OSError as the system gives it.
    """
    content = os.pread(descriptor, count, position) if count else b""
    octets, is_plain = octets_and_plainness(content, before)
    return len(content), octets, content[-1] if content else before, is_plain
