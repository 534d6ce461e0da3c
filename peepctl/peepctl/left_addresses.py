"""Where a `peepctl up` listens: it leaves that in its data directory, for the commands beside it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

FILE = "addresses.json"


def data_directory(environment: Mapping[str, str]) -> Path:
    """Return where the data of a `peepctl up` of this environment and folder are."""
    return Path(environment.get("PEEP_DATA_DIR") or "./data")


def leave(directory: Path, addresses: Mapping[str, str]) -> None:
    """Write down where the parts listen, by their labels (`PEEP`, `HTTP` ...), whole or not at all."""
    unfinished = directory / f".{FILE}.new"
    unfinished.write_text(json.dumps(addresses, indent=2) + "\n", "utf-8")
    os.replace(unfinished, directory / FILE)


def take_away(directory: Path) -> None:
    """Remove what was left: nothing listens there any more."""
    (directory / FILE).unlink(missing_ok=True)


def left_addresses(environment: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """Return host and port of each part of the `peepctl up` here, by their labels; empty where there is none.

    Only what root or this user has left is believed: a password is sent there.
    """
    path = data_directory(environment) / FILE
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_uid not in {0, os.geteuid()}:
                return {}
            return {label: _host_and_port(address) for label, address in json.load(file).items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _host_and_port(address: str) -> tuple[str, int]:
    parts = urlsplit(address if "//" in address else f"//{address}")
    if not parts.hostname or not parts.port:
        raise ValueError
    return parts.hostname, parts.port
