"""Common parts of the services' `health` commands; imports nothing that is slow."""

import os
from collections.abc import Callable, Mapping

from line_server.listener import display

DEFAULT_HOST = "127.0.0.1"

_SAME_MACHINE = {"": "localhost", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound

Verdict = tuple[bool, str]
"""Whether a service is well, and one line that says so."""


def report(service: str, check: Callable[[Mapping[str, str]], Verdict]) -> int:
    """Print the line of what `check` returns for this environment; return 0 if all is well, else 1."""
    is_well, line = check(os.environ)
    print(f"{service}: {line}")
    return 0 if is_well else 1


def ask_port(
    environment: Mapping[str, str], prefix: str, default_port: str, ask: Callable[[str, int], Verdict]
) -> Verdict:
    """Return what `ask` returns for the host and port that the variables `prefix` HOST and PORT name.

    An `OSError` that it raises is a verdict too. A host that stands for all addresses is asked here.
    """
    host = environment.get(f"{prefix}HOST") or DEFAULT_HOST
    port = environment.get(f"{prefix}PORT") or default_port
    if not port.isdecimal() or int(port) > 65535:
        return False, f"{prefix}PORT={port}: must be the number of a port"
    if int(port) == 0:
        return False, f"{prefix}PORT=0: the service picked a port that only its log knows"
    host = _SAME_MACHINE.get(host, host)
    try:
        return ask(host, int(port))
    except OSError as error:
        return False, f"no answer from {display((host, int(port)))}: {error.strerror or error}"
