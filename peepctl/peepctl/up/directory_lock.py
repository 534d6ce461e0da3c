"""The lock that admits one `peepctl up` to a data directory."""

import fcntl
import os
import time
from pathlib import Path

from service_runtime.errors import StartError

LOCK_FILE = "peepctl.lock"
RELEASE_SECONDS = 5.0  # how long the server of a killed peepctl may take to end
POLL_SECONDS = 0.05


class DirectoryInUseError(StartError):
    """Another running peepctl, or the server of one, has locked the data directory."""


class DirectoryLock:
    """The lock of a data directory, held as long as any process has its file open.

    The embedded server inherits the open file. So after a peepctl was killed, the next one cannot start a
    second server on the same files before the first has ended.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / LOCK_FILE
        self._file = -1

    @property
    def file_descriptor(self) -> int:
        """The open file that the server inherits."""
        return self._file

    def acquire(self) -> None:
        """Take the lock and write this process's number into it; raise DirectoryInUseError if it is taken.

        If the holder that the file names has ended, its server is about to end: this waits for it.
        """
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + RELEASE_SECONDS
        while not self._try_lock():
            holder = self._path.read_text().strip()
            if not _is_gone(holder) or time.monotonic() > deadline:
                self.release()
                raise DirectoryInUseError(
                    f"the data directory {self._directory} is in use by process {holder or 'unknown'}:"
                    " stop that process first, or set PEEP_DATA_DIR to another directory"
                )
            time.sleep(POLL_SECONDS)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Close the file; the lock is free once the server has ended too."""
        if self._file != -1:
            os.close(self._file)
            self._file = -1

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _is_gone(holder: str) -> bool:
    try:
        os.kill(int(holder), 0)
    except ProcessLookupError:
        return True
    except (ValueError, PermissionError):
        return False  # ValueError: the holder has locked the file but not written its number yet
    return False
