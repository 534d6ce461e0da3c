"""What a service's main coroutine and its process tell each other: readiness, life, reload and stop."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

import structlog

from line_server.activation import passed_sockets
from line_server.listener import ListenError
from service_runtime import VERSION
from service_runtime.child_process import (
    ANSWER,
    ANSWER_FD_VARIABLE,
    PARENT_FD_VARIABLE,
    READY_FD_VARIABLE,
    READY_LINE,
)
from service_runtime.errors import StartError
from service_runtime.notify import Notifier

log = structlog.get_logger()

QUERY_OCTETS = 4096
"""Reads all pending queries at once: each has one octet, and at most ten stay unanswered."""

SIGNS_OF_LIFE = 3
"""systemd gets so many in the time after which it would end a service that gives none."""

SIGNALS = (signal.SIGTERM, signal.SIGINT)

_Result = TypeVar("_Result")


class Lifecycle:
    """Connects a service's main coroutine to its process, its supervisor, and systemd if that started it.

    A stop takes up to `stop_seconds`. Raises `StartError` if sockets were passed on that cannot be used.
    """

    def __init__(self, stop_seconds: float = 0.0) -> None:
        self.stopping = asyncio.Event()
        """Set by SIGTERM, SIGINT, or the end of the supervisor."""
        try:
            self.passed_sockets = passed_sockets()
        except ListenError as error:
            raise StartError(str(error)) from None
        self._stop_seconds = stop_seconds
        self._notifier = Notifier()
        self._served = ""
        self._is_alive: Callable[[], bool] = lambda: True
        self._reloads: list[Callable[[], Awaitable[None]]] = []
        self._reloading: set[asyncio.Task[None]] = set()
        self._reload_turn = asyncio.Lock()
        self._ready_descriptor = _inherited(READY_FD_VARIABLE)
        self._parent_descriptor = _inherited(PARENT_FD_VARIABLE)
        self._answer_descriptor = _inherited(ANSWER_FD_VARIABLE)

    def ready(self, addresses: Iterable[tuple[str, str]]) -> None:
        """Report to log, supervisor and systemd that these (label, address) pairs are being served."""
        addresses = list(addresses)
        log.info("ready", **{label.lower(): address for label, address in addresses}, version=VERSION)
        self._served = "serving " + ", ".join(f"{label} on {address}" for label, address in addresses)
        self._notifier.ready(self._served)
        descriptor, self._ready_descriptor = self._ready_descriptor, None
        if descriptor is not None:
            with open(descriptor, "w", encoding="utf-8") as pipe:
                pipe.writelines(f"{label} {address}\n" for label, address in addresses)
                pipe.write(f"{READY_LINE}\n")

    def waits(self, reason: str) -> None:
        """Have `systemctl status` show why nothing is served yet."""
        self._notifier.status(reason)

    def stop(self) -> None:
        """Request an orderly end."""
        if not self.stopping.is_set():
            self.stopping.set()
            self._notifier.stopping(self._stop_seconds)

    def on_reload(self, action: Callable[[], Awaitable[None]]) -> None:
        """Call `action` on SIGHUP, to read files again. SIGHUP never ends a service."""
        self._reloads.append(action)

    def lives_while(self, is_alive: Callable[[], bool]) -> None:
        """Give systemd signs of life only while `is_alive` returns True, and the event loop turns."""
        self._is_alive = is_alive

    async def until_stopped(self, other: Coroutine[Any, Any, _Result]) -> _Result | None:
        """Wait until a stop is requested and return None, or until `other` ends and return its result."""
        stopped = asyncio.create_task(self.stopping.wait())
        ended = asyncio.create_task(other)
        try:
            await asyncio.wait((stopped, ended), return_when=asyncio.FIRST_COMPLETED)
            return ended.result() if ended.done() else None
        finally:
            stopped.cancel()
            ended.cancel()

    def watch(self) -> None:
        """Start to handle signals, supervisor and systemd; a second signal kills the process."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._signalled)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        if self._parent_descriptor is not None:
            loop.add_reader(self._parent_descriptor, self._answer, self._parent_descriptor)
        if self._notifier.watchdog_seconds:
            self._live()

    def _signalled(self) -> None:
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
        self.stop()

    def _reload(self) -> None:
        log.info("asked to reload")
        task = asyncio.get_running_loop().create_task(self._read_again())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    async def _read_again(self) -> None:
        async with self._reload_turn:
            if self._is_serving():
                self._notifier.reloading()
            try:
                await asyncio.gather(*(action() for action in self._reloads))
            finally:
                if self._is_serving():
                    self._notifier.ready(self._served)

    def _is_serving(self) -> bool:
        return bool(self._served) and not self.stopping.is_set()

    def _answer(self, descriptor: int) -> None:
        """Answer the supervisor's queries, or stop if it has ended."""
        if not os.read(descriptor, QUERY_OCTETS):
            asyncio.get_running_loop().remove_reader(descriptor)
            log.warning("the supervising process is gone: stopping")
            self.stop()
        elif self._answer_descriptor is not None:
            with contextlib.suppress(OSError):  # the supervisor has ended: the next read shows it
                os.write(self._answer_descriptor, ANSWER)

    def _live(self) -> None:
        if self._is_alive():
            self._notifier.alive()
        asyncio.get_running_loop().call_later(self._notifier.watchdog_seconds / SIGNS_OF_LIFE, self._live)


def _inherited(variable: str) -> int | None:
    """Return the descriptor that the supervisor passed in `variable`, no longer inheritable."""
    number = os.environ.pop(variable, None)
    if number is None:
        return None
    os.set_inheritable(int(number), False)
    return int(number)
