"""The server that users come from, as the settings name it."""

import ssl
from typing import NamedTuple

from pop3_client import InvalidArgument, Pop3Address, tls_context
from service_runtime.errors import StartError
from service_runtime.settings import Pop3Settings


class OldServer(NamedTuple):
    """Where it is, and which certificates are trusted."""

    address: Pop3Address
    tls: ssl.SSLContext


def old_server(settings: Pop3Settings) -> OldServer | None:
    """Return the server of `PEEP_MOVE_FROM`, None where that is not set. Raises `StartError`."""
    if not settings.move_from:
        return None
    try:
        return OldServer(Pop3Address.parse(settings.move_from), tls_context(settings.move_ca_file))
    except InvalidArgument as error:
        raise StartError(f"PEEP_MOVE_CA_FILE={settings.move_ca_file}: {error}") from None
