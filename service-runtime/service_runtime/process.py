"""Run a service: settings, event loop, signals, readiness, and one clear line when it cannot start."""

import argparse
import contextlib
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog
import uvloop

from service_runtime import VERSION, logs, settings
from service_runtime.errors import StartError
from service_runtime.lifecycle import Lifecycle

log = structlog.get_logger()

STOP_MARGIN_SECONDS = 10.0
"""How much longer than notice and drain a stop may take: late workers are killed, counts are sent."""

_Settings = TypeVar("_Settings", bound=settings.CommonSettings)


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
    lifecycle = Lifecycle(loaded.drain_notice_seconds + loaded.drain_seconds + STOP_MARGIN_SECONDS)
    lifecycle.watch()
    # Imported objects live as long as the process: the collector need not scan them again.
    gc.collect()
    gc.freeze()
    await serve(loaded, lifecycle)
    log.info("stopped")
