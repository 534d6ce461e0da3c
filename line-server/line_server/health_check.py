"""What the services' `health` commands have in common; imports nothing that takes long."""

import os
from collections.abc import Callable, Mapping

DEFAULT_HOST = "127.0.0.1"

_SAME_MACHINE = {"": "localhost", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


class AddressUnknown(Exception):
    """Where the service listens cannot be told; the text is one line that says why."""


def report(service: str, check: Callable[[Mapping[str, str]], tuple[bool, str]]) -> int:
    """Print the line that `check` tells of this environment; return 0 if all is well, else 1."""
    is_well, line = check(os.environ)
    print(f"{service}: {line}")
    return 0 if is_well else 1


def own_address(
    environment: Mapping[str, str], prefix: str, default_port: str, *, listener: str
) -> tuple[str, int]:
    """Return where `listener` can be asked from this machine, by the variables `prefix` HOST and PORT.

    Raises `AddressUnknown`.
    """
    host = environment.get(f"{prefix}HOST") or DEFAULT_HOST
    port = environment.get(f"{prefix}PORT") or default_port
    if not port.isdecimal() or int(port) > 65535:
        raise AddressUnknown(f"{prefix}PORT={port}: must be the number of a port")
    if int(port) == 0:
        raise AddressUnknown(f"{prefix}PORT=0: the {listener} picked a port that only its log knows")
    return _SAME_MACHINE.get(host, host), int(port)
