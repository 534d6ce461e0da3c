"""`peep-gateway` (`python -m peep_gateway`): serve PEEP; with `health` check whether the gateway answers."""

import sys

from peep_gateway import health


def main() -> int:
    """Carry out the command line, and return the process's exit code."""
    if sys.argv[1:] == ["health"]:
        return health.main()
    # Imported only here: a check runs every few seconds, and needs nothing of the service.
    from service_runtime.quick_imports import quick_imports

    # structlog looks for rich, to show variables in tracebacks; redis-py for OpenTelemetry, to send metrics.
    with quick_imports("rich", "opentelemetry"):
        from peep_gateway import service

    return service.main()


if __name__ == "__main__":
    sys.exit(main())
