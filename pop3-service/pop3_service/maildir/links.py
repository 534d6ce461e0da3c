"""Links below the mail directory that the operator has made: where they may lead, and how to follow them."""

import errno
import os
import stat
from collections.abc import Sequence

from pop3_service.maildir.beneath import WAY_FLAGS

LINKS_FOLLOWED = 8
"""More on one way than any operator makes: they lead in a circle."""

# Linux only: with it a link itself is opened. Without one, owner and target could be those of two links.
_PATH: int | None = getattr(os, "O_PATH", None)


def open_along_links(mail_directory: bytes, folder: bytes, roots: Sequence[bytes]) -> int:
    """Return a descriptor of `folder` below the mail directory, on whose way links may stand.

    A link is followed if it belongs to root or to this process's user and leads to or below one of `roots`.
    Its target is then gone to from that root by the same rules, so that nobody's link leads elsewhere.
    Waits for the disk. Raises OSError, ELOOP for a link that is not followed.
    """
    start = os.path.realpath(mail_directory)
    for _ in range(LINKS_FOLLOWED):
        result = _go(start, folder, roots)
        if isinstance(result, int):
            return result
        start, folder = result
    raise refusal()


def _go(start: bytes, folder: bytes, roots: Sequence[bytes]) -> int | tuple[bytes, bytes]:
    """Return the descriptor of `folder` below `start`, or, at a link, from where to go on, and to what."""
    current = os.open(start, WAY_FLAGS)
    try:
        names = folder.split(b"/") if folder else []
        for number, name in enumerate(names):
            target = _target(current, name)
            if target is not None:
                found = os.path.join(start, *names[:number], target)
                root, below = _root_of(os.path.normpath(found), roots)
                return root, b"/".join([*([below] if below else []), *names[number + 1 :]])
            following = os.open(name, WAY_FLAGS | os.O_NOFOLLOW, dir_fd=current)
            os.close(current)
            current = following
        return os.dup(current)
    finally:
        os.close(current)


def _target(folder: int, name: bytes) -> bytes | None:
    """Return where the link `name` leads, None where it is none. Raises ELOOP for somebody else's link."""
    if _PATH is None:
        return None  # opening it without following says what it is
    descriptor = os.open(name, _PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISLNK(status.st_mode):
            return None
        if status.st_uid not in {0, os.geteuid()}:
            raise refusal()
        return os.readlink(b"", dir_fd=descriptor)
    finally:
        os.close(descriptor)


def _root_of(path: bytes, roots: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the root that `path` lies in, and its way from there. Raises ELOOP where there is none."""
    for root in roots:
        for spelling in (os.path.normpath(root), os.path.realpath(root)):
            if os.path.commonpath((path, spelling)) == spelling:
                return os.path.realpath(root), os.path.relpath(path, spelling) if path != spelling else b""
    raise refusal()


def refusal() -> OSError:
    """Return what says that a link stands in the way, in words for an operator."""
    return OSError(errno.ELOOP, "a symbolic link on the way is not followed (see PEEP_MAIL_ROOTS)")
