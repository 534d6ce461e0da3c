"""popa3d as a server of the measurements."""

from typing import ClassVar

from servers import Server, ServerError


class Popa3dServer(Server):
    """popa3d."""

    name: ClassVar[str] = "popa3d"

    def start(self) -> None:
        """Start it."""
        raise ServerError("it is not measured yet")
