"""The embedded server: a Valkey or Redis on a Unix socket, with its data in the data directory."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from peepctl.up import append_only_file, guard
from peepctl.up.directory_lock import DirectoryLock
from peepctl.up.server_binary import find_server, server_version
from service_runtime.errors import StartError

SOCKET_NAME = "redis.sock"
SOCKET_PATH_OCTETS = 100  # the system allows 104 (macOS) or 108 (Linux)
PROGRESS_AFTER_SECONDS = 1.0
POLL_SECONDS = 0.01
ANSWER_SECONDS = 1.0
STOP_SECONDS = 5.0
LONGEST_LOG_OCTETS = 1 << 20  # of one start, searched for the reason of a failure
LINUX = sys.platform == "linux"

# `#` marks warnings. Those that begin with WARNING are advice on the machine's settings.
_IMPORTANT = re.compile(rb"\d+:\w .*? # (?!WARNING)(.+)")
_ABOUT_ITS_FILES = re.compile(r"AOF|append only file|RDB", re.IGNORECASE)


class EmbeddedServerError(StartError):
    """The embedded server did not start; the text is one line with the reason from its log."""


class EmbeddedServer:
    """A Valkey or Redis server that keeps its data under `directory` and never outlives this process.

    The methods block: asyncio callers use `asyncio.to_thread`, and may call `stop` or `kill` while `start`
    still runs in another thread. A long start calls `progress` with a line for the user.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        progress: Callable[[str], None] = lambda line: None,
        kernel_ends_orphans: bool = LINUX,
    ) -> None:
        self.directory = Path(directory).absolute()
        self.version = ""  # for example `Valkey 9.1.0`, known after `start`
        self._files = self.directory / "redis"
        self._socket_directory = self.directory
        self._binary = ""
        self._log_begins = 0
        self._progress = progress
        self._kernel_ends_orphans = kernel_ends_orphans
        self._lock = DirectoryLock(self.directory)
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: Sequence[int] = ()
        self._is_to_stop = threading.Event()
        self._changing = threading.Lock()  # so that `stop` never misses a server that is being started
        # The kernel ends the server when the thread that started it ends. An executor's thread stays.
        self._spawner = ThreadPoolExecutor(1, "embedded server")

    @property
    def socket_path(self) -> Path:
        """Where the server listens: the data directory, or a private folder if that path is too long."""
        return self._socket_directory / SOCKET_NAME

    @property
    def url(self) -> str:
        """The server's address for PEEP_REDIS_URL."""
        return f"unix://{quote(os.fsencode(self.socket_path))}"

    @property
    def log_path(self) -> Path:
        """The server's own log."""
        return self._files / "server.log"

    @property
    def process_id(self) -> int | None:
        """The running server's process, for tests that end it."""
        return self._process.pid if self._process else None

    @property
    def files(self) -> Path:
        """The folder of the server's data and log."""
        return self._files

    def start(self) -> None:
        """Start the server and return when it answers, with the data of earlier starts loaded.

        Raises NoServerError if no server is installed, DirectoryInUseError if another process uses the
        directory, EmbeddedServerError if the server ends or is stopped before it answers.
        """
        self._binary = find_server()
        self.version = server_version(self._binary)
        self._files.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.acquire()
        try:
            if len(os.fsencode(self.socket_path)) > SOCKET_PATH_OCTETS:
                self._socket_directory = _short_directory(self.socket_path)
            self._start_process()
        except BaseException:
            self.kill()
            raise

    def start_again(self) -> None:
        """Start the server again, with its data, after it ended; the directory stays locked in between.

        Raises EmbeddedServerError as `start` does, and may then be called again.
        """
        try:
            self._start_process()
        except BaseException:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            raise

    def wait(self) -> int:
        """Wait until the server ends; return its exit code, or minus the number of the signal."""
        if self._process is None:
            raise RuntimeError("the embedded server was not started")
        return self._process.wait()

    def stop(self, seconds: float = STOP_SECONDS) -> bool:
        """End the server with all data on disk; return False if it had to be killed after `seconds`."""
        process = self._last_process()
        if process is not None:
            process.terminate()
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                return False
        self._clean_up()
        return True

    def kill(self) -> None:
        """End the server at once; changes not yet written, at most those of one second, are lost."""
        process = self._last_process()
        if process is not None:
            process.kill()
            process.wait()
        self._clean_up()

    def _last_process(self) -> subprocess.Popen[bytes] | None:
        self._is_to_stop.set()
        with self._changing:
            return self._process

    def _start_process(self) -> None:
        with self._changing:
            if self._is_to_stop.is_set():
                raise EmbeddedServerError("the embedded server was stopped before it was ready")
            self._process = self._spawn(self._binary)
        self._await_answer(self._process)

    def _spawn(self, binary: str) -> subprocess.Popen[bytes]:
        inherited = [self._lock.file_descriptor]
        self._close_lifeline()
        if not self._kernel_ends_orphans:
            self._lifeline = os.pipe()
            inherited.append(self._lifeline[0])
        watch = str(self._lifeline[0]) if self._lifeline else guard.BY_KERNEL
        guarded = (sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), watch, binary)

        def start(log: BinaryIO) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                (*guarded, *self._options()),
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

        # Its output goes to its log too, for the time before it has read its options.
        with self.log_path.open("ab") as log:
            self._log_begins = log.tell()
            return self._spawner.submit(start, log).result()

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "600",
            "dir": str(self._files),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "logfile": str(self.log_path),
            "daemonize": "no",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        slow_from = time.monotonic() + PROGRESS_AFTER_SECONDS
        while not _answers(self.socket_path):
            if self._is_to_stop.is_set():
                raise EmbeddedServerError("the embedded server was stopped before it was ready")
            if (exit_code := process.poll()) is not None:
                raise EmbeddedServerError(
                    f"the embedded server ended with exit code {exit_code}: {self._reason()}"
                )
            if time.monotonic() > slow_from:
                self._progress("the embedded server is loading its data ...")
                slow_from = float("inf")
            time.sleep(POLL_SECONDS)

    def _reason(self) -> str:
        with self.log_path.open("rb") as log:
            log.seek(self._log_begins)
            output = log.read(LONGEST_LOG_OCTETS)
        important = _IMPORTANT.findall(output) or output.strip().splitlines() or [b"it gave no reason"]
        reason = important[-1].decode(errors="replace").strip()
        if _ABOUT_ITS_FILES.search(reason):
            reason = self._damage(reason)
        return f"{reason} (its log: {self.log_path})"

    def _damage(self, reason: str) -> str:
        try:
            damage = append_only_file.examine(self._binary, self._files)
        except append_only_file.UnreadableError as error:
            return f"{reason}; {error}"
        if damage is None:
            return f"{reason}; this cannot be repaired: restore a backup"
        # The server's own advice is left out: its checker does not accept the folder as a whole.
        return f"{damage}: `peepctl repair-store` does that and keeps a copy; or restore a backup"

    def _close_lifeline(self) -> None:
        for end in self._lifeline:
            os.close(end)
        self._lifeline = ()

    def _clean_up(self) -> None:
        with self._changing:
            self._lock.release()
            self._close_lifeline()
            if self._socket_directory != self.directory:
                shutil.rmtree(self._socket_directory, ignore_errors=True)


def _short_directory(too_long: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="peep-"))
    except OSError as error:
        raise EmbeddedServerError(
            f"{too_long} is too long for a socket, and there is no folder for temporary files: "
            f"{error.strerror}; set TMPDIR to one, or PEEP_DATA_DIR to a shorter path"
        ) from None


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
