"""Structured logs on standard error: one event per line, as JSON or for people."""

import json
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def configure(service: str, log_format: str, log_level: str, **fields: str) -> None:
    """Set up logging for this process; every event includes the service's name and `fields`."""
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _adds({"service": service, **fields}),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_for_programs() if as_json else _for_people()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(log_level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def _for_programs() -> list[Processor]:
    # One encoder for all events: json.dumps would create one for each.
    encoder = json.JSONEncoder(default=repr)
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=lambda event, **_: encoder.encode(event)),
    ]


def _for_people() -> list[Processor]:
    # Rich tracebacks show local variables, and so passwords.
    return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]


def _adds(fields: dict[str, str]) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.update(fields)
        return event

    return add
