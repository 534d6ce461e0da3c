"""Asks whether state-api on this machine is ready; imports nothing that takes long."""

import http.client
import json
from collections.abc import Mapping

from line_server.health_check import Verdict, ask_port, report
from line_server.listener import display

DEFAULT_PORT = "8110"

ANSWER_SECONDS = 3.0
"""How long `/readyz` may take; while Redis is away it answers in about one."""


def main() -> int:
    """Print a line about it; return 0 if it is ready, else 1."""
    return report("state-api", check)


def check(environment: Mapping[str, str]) -> Verdict:
    """Return whether a service with these settings is ready."""
    return ask_port(environment, "PEEP_HTTP_", DEFAULT_PORT, _ask)


def _ask(host: str, port: int) -> Verdict:
    address = display((host, port))
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        if response.status == 200:
            return True, f"ready on {address}"
        return False, f"not ready on {address}: {json.loads(response.read())['detail']}"
    except OSError:  # also `RemoteDisconnected`, which is an HTTPException as well
        raise
    except (http.client.HTTPException, ValueError, LookupError, TypeError):
        return False, f"{address} is not Peep's state-api"
    finally:
        connection.close()
