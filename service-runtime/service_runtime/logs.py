"""Structured logs on standard error: one event per line, as JSON or for people."""

import logging
import sys
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from service_runtime.frequent_event import FrequentEvent, JsonLog, encode
from service_runtime.log_file import LogFile


def configure(service: str, log_format: str, log_level: str, **fields: str) -> LogFile:
    """Set up logging for this process; every event includes the service's name and `fields`.

    Returns the file that the log goes to: the caller flushes it when the process ends.
    """
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    everywhere = {"service": service, **fields}
    file = LogFile(sys.stderr)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _adds(everywhere),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_for_programs() if as_json else _for_people()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(log_level),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, file)),
        cache_logger_on_first_use=True,
    )
    is_quick = as_json and structlog.get_logger().is_enabled_for(logging.INFO)
    FrequentEvent.json_log = JsonLog(file, everywhere) if is_quick else None
    return file


def _for_programs() -> list[Processor]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=lambda event, **_: encode(event)),
    ]


def _for_people() -> list[Processor]:
    # Rich tracebacks show local variables, and so passwords.
    return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]


def _adds(fields: dict[str, str]) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.update(fields)
        return event

    return add
