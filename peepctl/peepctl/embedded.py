"""The embedded Valkey: a real server of our own on a Unix socket, its data in the data directory."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from urllib.parse import quote

from peepctl import guard
from peepctl.directory_lock import DirectoryLock
from peepctl.server_binary import find_server, server_version
from service_runtime.errors import StartError

SOCKET_NAME = "redis.sock"
SOCKET_PATH_OCTETS = 100  # the system's own limit on a Unix socket's path is 104 (macOS) or 108 (Linux)
PROGRESS_AFTER_SECONDS = 1.0
POLL_SECONDS = 0.01
ANSWER_SECONDS = 1.0
STOP_SECONDS = 5.0
LINUX = sys.platform == "linux"


class EmbeddedServerError(StartError):
    """The embedded server ended while it started; the text is one line for the person at the terminal."""


class EmbeddedServer:
    """A Valkey or Redis server that keeps its data under `directory` and never outlives this process.

    The methods block: asyncio callers use `asyncio.to_thread`, and may call `stop` or `kill` while `start`
    still runs in another thread. A start that takes long tells `progress` so, in a line.
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
        self._progress = progress
        self._kernel_ends_orphans = kernel_ends_orphans
        self._lock = DirectoryLock(self.directory)
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: Sequence[int] = ()
        self._is_to_stop = threading.Event()
        self._cleaning = threading.Lock()

    @property
    def socket_path(self) -> Path:
        """Where the server listens: in the data directory, or a private folder if that path is too long."""
        return self._socket_directory / SOCKET_NAME

    @property
    def url(self) -> str:
        """The server's address as PEEP_REDIS_URL takes it."""
        return f"unix://{quote(str(self.socket_path))}"

    @property
    def log_path(self) -> Path:
        """The server's own log."""
        return self._files / "server.log"

    @property
    def process_id(self) -> int | None:
        """The running server's process, for tests that end it."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server and return when it answers, with the data of earlier starts loaded.

        Raises NoServerError when there is none to start, DirectoryInUseError when another process uses the
        directory, EmbeddedServerError when the server ends or is stopped meanwhile.
        """
        binary = find_server()
        self.version = server_version(binary)
        self._files.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.acquire()
        try:
            if len(os.fsencode(self.socket_path)) > SOCKET_PATH_OCTETS:
                self._socket_directory = Path(tempfile.mkdtemp(prefix="peep-"))
            self._process = self._spawn(binary)
            self._await_answer(self._process)
        except BaseException:
            self.kill()
            raise

    def wait(self) -> int:
        """Wait until the started server ends; return its exit code, or minus the number of the signal."""
        if self._process is None:
            raise RuntimeError("the embedded server was not started")
        return self._process.wait()

    def stop(self, seconds: float = STOP_SECONDS) -> bool:
        """End the server with all data on disk; return False if it had to be killed after `seconds`."""
        self._is_to_stop.set()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                return False
        self._clean_up()
        return True

    def kill(self) -> None:
        """End the server at once; what it had not yet written, at most a second's changes, is lost."""
        self._is_to_stop.set()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._clean_up()

    def _spawn(self, binary: str) -> subprocess.Popen[bytes]:
        inherited = [self._lock.file_descriptor]
        if not self._kernel_ends_orphans:
            self._lifeline = os.pipe()
            inherited.append(self._lifeline[0])
        watch = str(self._lifeline[0]) if self._lifeline else guard.BY_KERNEL
        turned_into = (sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), watch)
        return _start_from_lasting_thread((*turned_into, binary, *self._options()), inherited)

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
                    f"the embedded server ended with exit code {exit_code}, look at {self.log_path}"
                )
            if time.monotonic() > slow_from:
                self._progress("the embedded server is loading its data ...")
                slow_from = float("inf")
            time.sleep(POLL_SECONDS)

    def _clean_up(self) -> None:
        with self._cleaning:
            self._lock.release()
            for end in self._lifeline:
                os.close(end)
            self._lifeline = ()
            if self._socket_directory != self.directory:
                shutil.rmtree(self._socket_directory, ignore_errors=True)


def _start_from_lasting_thread(command: Sequence[str], inherited: Sequence[int]) -> subprocess.Popen[bytes]:
    # The kernel ends the server when the thread that started it ends, not only when the whole process does.
    # So this thread stays until then: a caller's thread, of an executor for instance, may end sooner.
    started: Future[subprocess.Popen[bytes]] = Future()

    def start_and_stay() -> None:
        try:
            process = subprocess.Popen(
                command, pass_fds=inherited, stdin=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(process)
        process.wait()

    threading.Thread(target=start_and_stay, name="embedded server", daemon=True).start()
    return started.result()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
