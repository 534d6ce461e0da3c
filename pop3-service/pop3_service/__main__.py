"""`python -m pop3_service`: serve POP3, or, with `health`, tell whether every process here answers."""

import sys

from pop3_service.health import check


def main() -> int:
    """Do what the command line says and return the process's exit code."""
    if sys.argv[1:] == ["health"]:
        return check.main()
    # Only here: a check is made every few seconds, and should not cost what the service imports.
    # structlog would import rich, if it is installed, for tracebacks that print variables: we show none.
    sys.modules["rich"] = None  # type: ignore[assignment]
    from pop3_service import service

    return service.main()


if __name__ == "__main__":
    sys.exit(main())
