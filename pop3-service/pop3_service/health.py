"""`python -m pop3_service health` asks the service that runs here whether it speaks POP3."""

import socket

from service_runtime.errors import StartError
from service_runtime.settings import Pop3Settings, load

ANSWER_SECONDS = 3.0
ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - where to ask, not to listen


def check() -> int:
    """Greet and quit; print one line and return the exit code, 0 when it works."""
    try:
        settings = load(Pop3Settings)
        where = (ANY_HOST.get(settings.pop3_host, settings.pop3_host), settings.pop3_port)
        with socket.create_connection(where, ANSWER_SECONDS) as client, client.makefile("rb") as replies:
            greeting = replies.readline(512)
            client.sendall(b"QUIT\r\n")
            farewell = replies.readline(512)
    except (OSError, StartError) as error:
        print(f"unhealthy: {error}")
        return 1
    is_healthy = greeting.startswith(b"+OK") and farewell.startswith(b"+OK")
    print(
        "healthy"
        if is_healthy
        else f"unhealthy: {(greeting or b'no greeting').decode('ascii', 'replace').strip()}"
    )
    return 0 if is_healthy else 1
