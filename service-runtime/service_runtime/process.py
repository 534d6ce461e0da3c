"""Run one of our programs: settings, event loop, signals, readiness, one clear line when it cannot start."""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

import structlog
import uvloop

from service_runtime import VERSION, logs, settings
from service_runtime.errors import StartError
from service_runtime.supervisor import LEAVING, SERVING

log = structlog.get_logger()

QUESTION_OCTETS = 65536
"""A question has a few octets, and whoever has not answered ten is ended: all of them are read at once."""

SIGNALS = (signal.SIGTERM, signal.SIGINT)

_Settings = TypeVar("_Settings", bound=settings.CommonSettings)
_Result = TypeVar("_Result")


class Lifecycle:
    """What a program's main coroutine is told of its process, and tells it."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        """Set by SIGTERM, SIGINT, or the end of the process that supervises us."""
        self._reloads: list[Callable[[], None]] = []
        self._unserved_changed: Callable[[frozenset[int]], None] = lambda unserved: None
        self._ready_descriptor = _taken("PEEP_READY_FD")
        self._parent_descriptor = _taken("PEEP_PARENT_FD")
        self._answer_descriptor = _taken("PEEP_ANSWER_FD")

    def ready(self, addresses: Iterable[tuple[str, str]]) -> None:
        """Tell the log, and whoever supervises us, that (label, address) pairs are being served."""
        addresses = list(addresses)
        log.info("ready", **{label.lower(): address for label, address in addresses}, version=VERSION)
        descriptor, self._ready_descriptor = self._ready_descriptor, None
        if descriptor is not None:
            with open(descriptor, "w", encoding="utf-8") as pipe:
                pipe.writelines(f"{label} {address}\n" for label, address in addresses)
                pipe.write("ready\n")

    def stop(self) -> None:
        """Ask the program to end in good order."""
        self.stopping.set()

    def on_reload(self, action: Callable[[], None]) -> None:
        """Let SIGHUP call `action`, which has something read anew. It ends nothing, whoever listens."""
        self._reloads.append(action)

    def on_unserved(self, action: Callable[[frozenset[int]], None]) -> None:
        """Let `action` know which workers of our pool do not serve, by their numbers, about once a second."""
        self._unserved_changed = action

    async def until_stopped(self, other: Coroutine[Any, Any, _Result]) -> _Result | None:
        """Wait for the request to stop (None), or for `other` to end, whose result is returned."""
        stopped = asyncio.create_task(self.stopping.wait())
        ended = asyncio.create_task(other)
        try:
            await asyncio.wait((stopped, ended), return_when=asyncio.FIRST_COMPLETED)
            return ended.result() if ended.done() else None
        finally:
            stopped.cancel()
            ended.cancel()

    def watch(self) -> None:
        """Begin to listen for signals and for the supervisor's end; a second signal kills."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._signalled)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        if self._parent_descriptor is not None:
            loop.add_reader(self._parent_descriptor, self._asked, self._parent_descriptor)

    def _signalled(self) -> None:
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
        self.stop()

    def _reload(self) -> None:
        log.info("asked to reload")
        for action in self._reloads:
            action()

    def _asked(self, descriptor: int) -> None:
        """Give the supervisor a sign of life, here in the event loop, or see that it is gone."""
        told = os.read(descriptor, QUESTION_OCTETS)
        if not told:
            asyncio.get_running_loop().remove_reader(descriptor)
            log.warning("the supervising process is gone: stopping")
            self.stop()
            return
        if self._answer_descriptor is not None:
            with contextlib.suppress(OSError):  # gone meanwhile: that is read next
                os.write(self._answer_descriptor, LEAVING if self.stopping.is_set() else SERVING)
        if not self.stopping.is_set():
            *_, last = told.splitlines()  # after a pause there are several
            self._unserved_changed(frozenset(map(int, last.split())))


def _taken(variable: str) -> int | None:
    """Return the descriptor that a supervisor gave us; our own children shall not have it too."""
    number = os.environ.pop(variable, None)
    if number is None:
        return None
    os.set_inheritable(int(number), False)
    return int(number)


def _take_all_descriptors() -> None:
    """Raise the limit of open files as far as the system lets us: each connection takes one."""
    _, at_most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS says "infinite", and takes no such limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (at_most, at_most))


def run(
    service: str,
    settings_class: type[_Settings],
    main: Callable[[_Settings, Lifecycle], Coroutine[Any, Any, None]],
) -> int:
    """Run `main` with the environment's settings until it ends; return the process's exit code.

    0 after a clean end, 2 when a setting is wrong, 1 when the program cannot start or go on.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to read anew
    _take_all_descriptors()
    try:
        loaded = settings.load(settings_class)
    except StartError as error:
        print(f"{service}: {error}", file=sys.stderr)
        return 2
    worker = os.environ.get("PEEP_WORKER")
    logs.configure(service, loaded.log_format, loaded.log_level, **({"worker": worker} if worker else {}))
    for warning in settings.unknown_variables():
        log.warning(warning)
    try:
        uvloop.run(_supervised(main, loaded))
    except StartError as error:
        print(f"{service}: {error}", file=sys.stderr)
        return 1
    return 0


async def _supervised(
    main: Callable[[_Settings, Lifecycle], Coroutine[Any, Any, None]], loaded: _Settings
) -> None:
    lifecycle = Lifecycle()
    lifecycle.watch()
    # What was imported lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    await main(loaded, lifecycle)
    log.info("stopped")


def show_first_password(service: str, password: str) -> None:
    """Print the password of the administrator that a first start has made."""
    # Not through the log: logs are kept, copied and read by many.
    print(
        f"{service}: the first administrator is 'admin' with the password {password} "
        "(shown only now; only its hash is kept)",
        flush=True,
    )
