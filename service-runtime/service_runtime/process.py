"""Run a service: settings, event loop, signals, readiness, and one clear line when it cannot start."""

import argparse
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
from service_runtime.child_process import LEAVING, SERVING
from service_runtime.errors import StartError

log = structlog.get_logger()

QUERY_OCTETS = 65536
"""Reads all pending queries at once: each has a few octets, and at most ten stay unanswered."""

SIGNALS = (signal.SIGTERM, signal.SIGINT)

_Settings = TypeVar("_Settings", bound=settings.CommonSettings)
_Result = TypeVar("_Result")


class Lifecycle:
    """Connects a service's main coroutine to its process: readiness, reload and stop."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        """Set by SIGTERM, SIGINT, or the end of the supervisor."""
        self._reloads: list[Callable[[], None]] = []
        self._unserved_changed: Callable[[frozenset[int]], None] = lambda unserved: None
        self._ready_descriptor = _inherited("PEEP_READY_FD")
        self._parent_descriptor = _inherited("PEEP_PARENT_FD")
        self._answer_descriptor = _inherited("PEEP_ANSWER_FD")

    def ready(self, addresses: Iterable[tuple[str, str]]) -> None:
        """Report to the log and to the supervisor that these (label, address) pairs are being served."""
        addresses = list(addresses)
        log.info("ready", **{label.lower(): address for label, address in addresses}, version=VERSION)
        descriptor, self._ready_descriptor = self._ready_descriptor, None
        if descriptor is not None:
            with open(descriptor, "w", encoding="utf-8") as pipe:
                pipe.writelines(f"{label} {address}\n" for label, address in addresses)
                pipe.write("ready\n")

    def stop(self) -> None:
        """Request an orderly end."""
        self.stopping.set()

    def on_reload(self, action: Callable[[], None]) -> None:
        """Call `action` on SIGHUP, to read files again. SIGHUP never ends a service."""
        self._reloads.append(action)

    def on_unserved(self, action: Callable[[frozenset[int]], None]) -> None:
        """Call `action` about once a second with the numbers of the workers in the pool that do not serve."""
        self._unserved_changed = action

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
        """Start to handle signals and the supervisor's queries and end; a second signal kills the process."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._signalled)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        if self._parent_descriptor is not None:
            loop.add_reader(self._parent_descriptor, self._answer, self._parent_descriptor)

    def _signalled(self) -> None:
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
        self.stop()

    def _reload(self) -> None:
        log.info("asked to reload")
        for action in self._reloads:
            action()

    def _answer(self, descriptor: int) -> None:
        """Answer the supervisor's queries, or stop if it has ended."""
        queries = os.read(descriptor, QUERY_OCTETS)
        if not queries:
            asyncio.get_running_loop().remove_reader(descriptor)
            log.warning("the supervising process is gone: stopping")
            self.stop()
            return
        if self._answer_descriptor is not None:
            with contextlib.suppress(OSError):  # the supervisor has ended: the next read shows it
                os.write(self._answer_descriptor, LEAVING if self.stopping.is_set() else SERVING)
        if not self.stopping.is_set():
            *_, last = queries.splitlines()  # several after a pause
            self._unserved_changed(frozenset(map(int, last.split())))


def _inherited(variable: str) -> int | None:
    """Return the descriptor that the supervisor passed in `variable`, no longer inheritable."""
    number = os.environ.pop(variable, None)
    if number is None:
        return None
    os.set_inheritable(int(number), False)
    return int(number)


def _raise_descriptor_limit() -> None:
    """Raise the limit of open files to the maximum: each connection takes one."""
    _, at_most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS reports "infinite" and refuses it
        resource.setrlimit(resource.RLIMIT_NOFILE, (at_most, at_most))


def run(
    service: str,
    description: str,
    settings_class: type[_Settings],
    serve: Callable[[_Settings, Lifecycle], Coroutine[Any, Any, None]],
) -> int:
    """Parse the command line, run `serve` with the environment's settings; return the process's exit code.

    0 after a clean end, 2 if a setting is wrong, 1 if the service cannot start or go on. The action `health`
    is only documented here: each service's `__main__` handles it, without these imports.
    """
    _parser(service, description, settings_class).parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # ignored until `watch` handles it
    _raise_descriptor_limit()
    try:
        loaded = settings.load(settings_class)
    except StartError as error:
        print(f"{service}: {error}", file=sys.stderr)
        return 2
    worker = os.environ.get("PEEP_WORKER")
    worker_field = {"worker": worker} if worker else {}
    log_file = logs.configure(service, loaded.log_format, loaded.log_level, **worker_field)
    for warning in settings.unknown_variables():
        log.warning(warning)
    try:
        uvloop.run(_serve(serve, loaded))
    except StartError as error:
        print(f"{service}: {error}", file=sys.stderr)
        return 1
    finally:
        log_file.flush()
    return 0


def _parser(
    service: str, description: str, settings_class: type[settings.CommonSettings]
) -> argparse.ArgumentParser:
    variables = [
        f"  {settings.variable(name)}: {field.description}"
        for name, field in settings_class.model_fields.items()
    ]
    parser = argparse.ArgumentParser(
        prog=_called_as(service),
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(["environment:", *variables]),
    )
    parser.add_argument("--version", action="version", version=f"Peep {VERSION}")
    parser.add_argument(
        "action",
        nargs="?",
        choices=("serve", "health"),
        default="serve",
        help="serve (the default), or check the health of the service on this machine: exit code 0 or 1",
    )
    return parser


def _called_as(service: str) -> str:
    script = os.path.basename(sys.argv[0])
    return f"python -m {service.replace('-', '_')}" if script == "__main__.py" else script


async def _serve(
    serve: Callable[[_Settings, Lifecycle], Coroutine[Any, Any, None]], loaded: _Settings
) -> None:
    lifecycle = Lifecycle()
    lifecycle.watch()
    # Imported objects live as long as the process: the collector need not scan them again.
    gc.collect()
    gc.freeze()
    await serve(loaded, lifecycle)
    log.info("stopped")
