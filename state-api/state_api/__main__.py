"""`python -m state_api`: serve HTTP, or, with `health`, check whether the service here is ready."""

import sys

from state_api import health


def main() -> int:
    """Carry out the command line, and return the process's exit code."""
    if sys.argv[1:] == ["health"]:
        return health.main()
    # Imported only here: a check runs every few seconds, and needs nothing of the service.
    # structlog would import rich, if it is installed, for tracebacks that print variables: we show none.
    sys.modules["rich"] = None  # type: ignore[assignment]
    # FastAPI would import Pydantic's older version to refuse models of it: we have none.
    sys.modules["pydantic.v1"] = None  # type: ignore[assignment]
    from state_api import service

    return service.main()


if __name__ == "__main__":
    sys.exit(main())
