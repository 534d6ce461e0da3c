"""Asks whether state-api on this machine is ready; imports nothing that takes long."""

import http.client
import json
import os
from collections.abc import Mapping

from line_server.listener import display

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", "8110"

ANSWER_SECONDS = 3.0
"""How long `/readyz` may take; while Redis is away it answers in about one."""

_SAME_MACHINE = {"": "localhost", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def main() -> int:
    """Print a line about it; return 0 if it is ready, else 1."""
    is_ready, line = check(os.environ)
    print(f"state-api: {line}")
    return 0 if is_ready else 1


def check(environment: Mapping[str, str]) -> tuple[bool, str]:
    """Return whether a service with these settings is ready, and one line that says so."""
    host = environment.get("PEEP_HTTP_HOST") or DEFAULT_HOST
    port = environment.get("PEEP_HTTP_PORT") or DEFAULT_PORT
    if not port.isdecimal() or int(port) > 65535:
        return False, f"PEEP_HTTP_PORT={port}: must be the number of a port"
    if int(port) == 0:
        return False, "PEEP_HTTP_PORT=0: the service picked a port that only its log knows"
    host = _SAME_MACHINE.get(host, host)
    address = display((host, int(port)))
    connection = http.client.HTTPConnection(host, int(port), timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        if response.status == 200:
            return True, f"ready on {address}"
        return False, f"not ready on {address}: {json.loads(response.read())['detail']}"
    except OSError as error:
        return False, f"no answer from {address}: {error.strerror or error}"
    except (http.client.HTTPException, ValueError, LookupError, TypeError):
        return False, f"{address} is not Peep's state-api"
    finally:
        connection.close()
