"""What a session's files cost while nothing is done to their octets: what the floor lacks of the bound."""

import os
import time
from collections.abc import Callable, Sequence

from maildrops import Mail, linked_copy
from sections import Options
from servers import on_cores

_LARGEST_OCTETS = 1 << 20


def file_microseconds(options: Options, mail: Mail) -> dict[str, float]:
    """Return the CPU time of opening, reading and closing all of a maildrop, and of removing it, by mode."""
    copy = linked_copy(mail, options.folder / "bound-mail")
    files = [str(path) for part in ("new", "cur") for path in copy.folder.glob(f"u*/{part}/*")]
    with on_cores(frozenset({options.server_core})):
        _microseconds(_read, files)  # the page cache
        reading = _microseconds(_read, files) / mail.users
        removing = _microseconds(_remove, files) / mail.users
    return {"fetch": reading, "drain": reading + removing}


def _microseconds(do: Callable[[Sequence[str]], None], files: Sequence[str]) -> float:
    began = time.thread_time()
    do(files)
    return (time.thread_time() - began) * 1e6


def _read(files: Sequence[str]) -> None:
    buffer = bytearray(_LARGEST_OCTETS)
    for file in files:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        os.fstat(descriptor)
        os.preadv(descriptor, [buffer], 0)
        os.close(descriptor)


def _remove(files: Sequence[str]) -> None:
    for file in files:
        os.unlink(file)
