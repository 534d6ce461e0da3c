"""`python -m pop3_service health`: asks each POP3 process of this machine. Imports little, to start fast."""

import contextlib
import glob
import os
import socket
from collections.abc import Mapping

from line_server.health_check import report

PORT_VARIABLE = "PEEP_POP3_PORT"
DEFAULT_PORT = "1110"
ANSWER_SECONDS = 3.0
FOLDERS = ("/tmp", "/var/tmp")  # noqa: S108 - after TMPDIR; the name in it is the user's and the process's own


def main() -> int:
    """Print the result; return 0 if all is well, else 1."""
    return report("pop3-service", check)


def check(environment: Mapping[str, str]) -> tuple[bool, str]:
    """Check every process that serves the configured port; return whether all is well, and a line."""
    port = environment.get(PORT_VARIABLE) or DEFAULT_PORT
    patterns = socket_paths(glob.escape(port), "*")
    verdicts = [_ask(path) for pattern in patterns for path in glob.glob(pattern)]
    answered = [verdict for verdict in verdicts if verdict is not None]
    if not answered:
        return False, f"unhealthy: no POP3 process answers for port {port}"
    if not all(answered):
        return False, f"unhealthy: {answered.count(False)} of {len(answered)} processes do not speak POP3"
    return True, f"healthy: every POP3 process answers ({len(answered)})"


def socket_paths(port: int | str, process_id: str) -> list[str]:
    """Return the paths of which a process that serves this port uses the first that it can bind."""
    # Not `tempfile.gettempdir`, which writes a file to find out, and fails where no folder can be written to.
    folders = dict.fromkeys((os.environ.get("TMPDIR") or FOLDERS[0], *FOLDERS))
    return [f"{folder}/peep-pop3-{os.getuid()}-{port}-{process_id}.sock" for folder in folders]


def _ask(path: str) -> bool | None:
    """Return whether a process answers in POP3, None when no process listens on this socket any more."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(ANSWER_SECONDS)
            client.connect(path)
            with client.makefile("rb") as replies:
                greeting = replies.readline(512)
                client.sendall(b"QUIT\r\n")
                return greeting.startswith(b"+OK") and replies.readline(512).startswith(b"+OK")
    except (ConnectionRefusedError, FileNotFoundError):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # left by a process that was killed
        return None
    except OSError:
        return False
