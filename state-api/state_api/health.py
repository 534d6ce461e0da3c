"""Whether state-api on this machine is ready: what `python -m state_api health` asks."""

import http.client
import json

from line_server.listener import display
from service_runtime.settings import ApiSettings

ANSWER_SECONDS = 3.0
"""How long `/readyz` may take; while Redis is away it answers in about one."""

_SAME_MACHINE = {"": "localhost", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def check(settings: ApiSettings) -> tuple[bool, str]:
    """Return whether a service with these settings is ready, and one line that says so."""
    if settings.http_port == 0:
        return False, "PEEP_HTTP_PORT=0: the service picked a port that only its log knows"
    host = _SAME_MACHINE.get(settings.http_host, settings.http_host)
    address = display((host, settings.http_port))
    connection = http.client.HTTPConnection(host, settings.http_port, timeout=ANSWER_SECONDS)
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
