"""Structured logs on standard error: one event a line, JSON or for people."""

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(service: str, log_format: str, log_level: str, **fields: str) -> None:
    """Set up logging for this process; every event carries the service's name and `fields`."""
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _adds({"service": service, **fields}),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_for_programs() if as_json else _for_people()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[log_level]),
        logger_factory=_octets_to_stderr() if as_json else structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def _for_programs() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_as_json)]


def _as_json(event: EventDict, **_: Any) -> bytes:
    # orjson with octets straight to standard error: half the CPU time of the standard library's way, and
    # every session that ends is an event.
    try:
        return orjson.dumps(event, default=repr)
    except orjson.JSONEncodeError:  # half a surrogate in a text, an integer beyond 64 bits
        return json.dumps(event, default=repr).encode()


def _octets_to_stderr() -> Callable[..., WrappedLogger]:
    # Behind the text layer's back: what that one still holds goes out first.
    sys.stderr.flush()
    return structlog.BytesLoggerFactory(file=sys.stderr.buffer)


def _for_people() -> list[Processor]:
    # The richer tracebacks show local variables, and with them passwords.
    return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]


def _adds(fields: dict[str, str]) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.update(fields)
        return event

    return add
