"""Asks whether state-api on this machine is ready; imports nothing that takes long."""

import http.client
import json
from collections.abc import Mapping

from line_server.health_check import DEFAULT_HOST as DEFAULT_HOST
from line_server.health_check import AddressUnknown, own_address, report
from line_server.listener import display

DEFAULT_PORT = "8110"

ANSWER_SECONDS = 3.0
"""How long `/readyz` may take; while Redis is away it answers in about one."""


def main() -> int:
    """Print a line about it; return 0 if it is ready, else 1."""
    return report("state-api", check)


def check(environment: Mapping[str, str]) -> tuple[bool, str]:
    """Return whether a service with these settings is ready, and one line that says so."""
    try:
        host, port = own_address(environment, "PEEP_HTTP_", DEFAULT_PORT, listener="service")
    except AddressUnknown as error:
        return False, str(error)
    address = display((host, port))
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
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
