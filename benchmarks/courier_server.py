"""Courier's POP3 server as a server of the measurements."""

from typing import ClassVar

from servers import Server, ServerError


class CourierServer(Server):
    """Courier."""

    name: ClassVar[str] = "Courier"

    def start(self) -> None:
        """Start it."""
        raise ServerError("it is not measured yet")
