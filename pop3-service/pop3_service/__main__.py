"""`peep-pop3` (`python -m pop3_service`): serve POP3.

With `health` it checks that every process here answers; with `unique-ids` it imports another server's.
"""

import sys

from pop3_service.health import check


def main() -> int:
    """Do what the command line says and return the process's exit code."""
    if sys.argv[1:] == ["health"]:
        return check.main()
    if sys.argv[1:2] == ["unique-ids"]:
        from pop3_service.old_unique_ids import command

        return command.main(sys.argv[2:])
    # Imported only here: a check runs every few seconds, and needs nothing of the service.
    from service_runtime.quick_imports import quick_imports

    # structlog looks for rich, to show variables in tracebacks; redis-py for OpenTelemetry, to send metrics.
    with quick_imports("rich", "opentelemetry"):
        from pop3_service import service

    return service.main()


if __name__ == "__main__":
    sys.exit(main())
