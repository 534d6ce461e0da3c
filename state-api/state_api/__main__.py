"""`python -m state_api`: serve HTTP, or, with `health`, tell whether the service here is ready."""

import sys

from state_api import health


def main() -> int:
    """Do what the command line says and return the process's exit code."""
    if sys.argv[1:] == ["health"]:
        return health.main()
    # Only here: a check is made every few seconds, and should not cost what the service imports.
    # structlog would import rich, if it is installed, for tracebacks that print variables: we show none.
    sys.modules["rich"] = None  # type: ignore[assignment]
    from state_api import service

    return service.main()


if __name__ == "__main__":
    sys.exit(main())
