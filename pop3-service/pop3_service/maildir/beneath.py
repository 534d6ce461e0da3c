"""Open paths below a folder without following a symbolic link.

O_NOFOLLOW protects only the last component of a path. A user who may write above his own `new` could replace
a folder on the way by a link to another user's mail.
"""

import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable

# For folders on the way: the right to search them is enough.
WAY_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC

# From linux/openat2.h; Python has no name for them.
_OPENAT2 = ctypes.c_long(437)
_AT_FDCWD = -100
_NO_SYMLINKS = 0x04
_BENEATH = 0x08
_CACHED = 0x20
_BENEATH_CACHED = _BENEATH | _NO_SYMLINKS | _CACHED

# Linux file systems on disks of this machine, by the magic number from statfs(2). With any other (a file
# server, or FUSE) even what the kernel has in memory may have to be validated over a network.
_LOCAL_FILE_SYSTEMS = frozenset(
    {
        0xEF53,  # ext2, ext3, ext4
        0x58465342,  # xfs
        0x9123683E,  # btrfs
        0x2FC12FC1,  # zfs
        0xF2F52010,  # f2fs
        0xCA451A4E,  # bcachefs
        0x01021994,  # tmpfs
        0x794C7630,  # overlayfs
    }
)
# Twice the size of the structure. A type made in each call would be cyclic garbage.
_StatFs = ctypes.c_char * 256


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@functools.cache
def has_openat2() -> bool:
    """Return whether the kernel has openat2 (Linux 5.6), and a container's filter allows it."""
    if sys.platform != "linux":  # pragma: no cover - macOS
        return False
    try:
        os.close(_openat2(_AT_FDCWD, b"/", WAY_FLAGS, _NO_SYMLINKS))
    except OSError:
        return False
    return True


def open_beneath(folder: int, path: bytes, flags: int) -> int:
    """Return a descriptor of `path` below the open `folder`; no link is followed.

    `path` contains no `.` or `..`. Raises OSError: ELOOP or ENOTDIR when a component is a link.
    """
    if has_openat2():
        return _openat2(folder, path, flags, _BENEATH | _NO_SYMLINKS)
    *way, last = path.split(b"/")
    return _open_by_components(folder, way, last, flags | os.O_NOFOLLOW)


def open_if_cached(folder: int | None, path: bytes, flags: int) -> int | None:
    """Do as `open_beneath` if the kernel has the whole path in memory: it does not block on a disk.

    Without a `folder` the path is absolute, and no component may be a link. None means that the path is not
    in memory, or cannot be opened, or that this system has no openat2.
    """
    if not has_openat2():
        return None
    # Every login and every RETR calls this. Prepared arguments need no conversion by ctypes: 1.2 us instead
    # of 1.7.
    if folder is None:
        descriptor = _quick_call()(
            _OPENAT2, _AT_FDCWD, path, _how(flags, _NO_SYMLINKS | _CACHED), _HOW_OCTETS
        )
    else:
        descriptor = _quick_call()(_OPENAT2, folder, path, _how(flags, _BENEATH_CACHED), _HOW_OCTETS)
    return None if descriptor < 0 else descriptor


def is_on_local_disk(descriptor: int) -> bool:
    """Return whether the open file is on a disk of this machine; blocks when it is on a file server."""
    if sys.platform != "linux":  # pragma: no cover - macOS
        return False
    answer = _StatFs()
    if _library().fstatfs(descriptor, answer) != 0:
        return False
    return int.from_bytes(answer.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder) in _LOCAL_FILE_SYSTEMS


def _open_by_components(folder: int, way: list[bytes], last: bytes, flags: int) -> int:
    current = os.dup(folder)
    try:
        for name in way:
            following = os.open(name, WAY_FLAGS | os.O_NOFOLLOW, dir_fd=current)
            os.close(current)
            current = following
        return os.open(last, flags, dir_fd=current)
    finally:
        os.close(current)


def _openat2(folder: int, path: bytes, flags: int, resolve: int) -> int:
    call = _library().syscall
    while True:
        descriptor: int = call(_OPENAT2, folder, path, _how(flags, resolve), _HOW_OCTETS)
        if descriptor >= 0:
            return descriptor
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


@functools.cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@functools.cache
def _quick_call() -> Callable[..., int]:
    """Return syscall(2) for calls that never block: it does not release the interpreter's lock."""
    call: Callable[..., int] = ctypes.PyDLL(None).syscall
    return call


@functools.cache
def _how(flags: int, resolve: int) -> "ctypes._CArgObject":
    return ctypes.byref(_How(flags, 0, resolve))


_HOW_OCTETS = ctypes.c_size_t(ctypes.sizeof(_How))
