"""Follow the operator's own links below the mail directory, and no others."""

import errno
import os
import stat
from collections.abc import Sequence

from pop3_service.maildir.beneath import WAY_FLAGS

LINKS_FOLLOWED = 8
"""The most links on one path: more of them are a circle."""

# Linux only: it opens a link itself. Otherwise owner and target could be read from two different links.
_PATH: int | None = getattr(os, "O_PATH", None)


def open_along_links(mail_directory: bytes, folder: bytes, roots: Sequence[bytes]) -> int:
    """Return a descriptor of `folder` below the mail directory; components may be links.

    A link is followed if its owner is root or this process's user and its target is one of `roots` or below
    one. The path from that root to the target follows the same rules. Blocks on the disk. Raises OSError:
    ELOOP for a link that is not followed.
    """
    start = os.path.realpath(mail_directory)
    for _ in range(LINKS_FOLLOWED):
        result = _go(start, folder, roots)
        if isinstance(result, int):
            return result
        start, folder = result
    raise refusal()


def _go(start: bytes, folder: bytes, roots: Sequence[bytes]) -> int | tuple[bytes, bytes]:
    """Return the descriptor of `folder` below `start`; at a link the next start and the folder below that."""
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
    """Return the target of the link `name`, None when it is no link. Raises ELOOP for another user's link."""
    if _PATH is None:  # pragma: no cover - macOS
        return None  # opened with O_NOFOLLOW it fails
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
    """Return the root that contains `path`, and the path from there. Raises ELOOP when none does."""
    for root in roots:
        for spelling in (os.path.normpath(root), os.path.realpath(root)):
            if os.path.commonpath((path, spelling)) == spelling:
                return os.path.realpath(root), os.path.relpath(path, spelling) if path != spelling else b""
    raise refusal()


def refusal() -> OSError:
    """Return the error for a link that is not followed; its text tells an operator what to do."""
    return OSError(errno.ELOOP, "a symbolic link on the way is not followed (see PEEP_MAIL_ROOTS)")
