"""Where POP3 is served: the plain port, and the one inside TLS where there is a certificate."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from line_server.activation import Endpoint, PassedSockets, close_all, inherited_socket, open_sockets
from line_server.listener import display
from service_runtime.settings import Pop3Settings


@dataclass(frozen=True, slots=True)
class Ports:
    """Bound sockets, a list for each port: one for every address of its host.

    All processes of a service have the same: whoever is free takes the next client.
    """

    plain: list[socket.socket]
    tls: list[socket.socket]

    @classmethod
    def open(cls, settings: Pop3Settings, passed: PassedSockets) -> "Ports":
        """Take the sockets that were passed on, or bind what the settings name. Raises `ListenError`."""
        host = settings.pop3_host
        endpoints = [Endpoint("pop3", host, settings.pop3_port, "PEEP_POP3_PORT")]
        if settings.tls_cert_file is not None:
            endpoints.append(Endpoint("pop3s", host, settings.pop3s_port, "PEEP_POP3S_PORT"))
        plain, *tls = open_sockets(endpoints, passed)
        return cls(plain, tls[0] if tls else [])

    def addresses(self) -> Iterator[tuple[str, str]]:
        """Yield a label and the address of each socket, to be logged."""
        for label, sockets in (("POP3", self.plain), ("POP3S", self.tls)):
            for bound in sockets:
                yield label, display(bound.getsockname())

    @property
    def port(self) -> int:
        """The plain port, or the one inside TLS where only that is served."""
        number: int = [*self.plain, *self.tls][0].getsockname()[1]
        return number

    @classmethod
    def inherited(cls, description: str) -> "Ports":
        """Return the sockets that the parent process has opened; `description` is its own."""
        plain, tls = (
            [inherited_socket(int(number)) for number in part.split(",") if number]
            for part in description.split("+")
        )
        return cls(plain, tls)

    def description(self) -> str:
        """Return the argument with which a child process calls `inherited`."""
        return "+".join(",".join(str(bound.fileno()) for bound in part) for part in (self.plain, self.tls))

    def descriptors(self) -> list[int]:
        """Return the file descriptors that a child process has to inherit."""
        return [bound.fileno() for bound in self.plain + self.tls]

    def close(self) -> None:
        """Close all sockets."""
        close_all([self.plain, self.tls])
