"""Where POP3 is served: the plain port, and the one inside TLS where there is a certificate."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace

from line_server.listener import display, listen, require_free
from service_runtime.settings import Pop3Settings

PLAIN_VARIABLE = "PEEP_POP3_PORT"
TLS_VARIABLE = "PEEP_POP3S_PORT"


@dataclass(frozen=True, slots=True)
class Ports:
    """Bound sockets, a list for each port: one for every address of its host."""

    plain: list[socket.socket]
    tls: list[socket.socket]

    @classmethod
    def bind(cls, settings: Pop3Settings, *, shared: bool = False) -> "Ports":
        """Bind what the settings name. Raises `ListenError`."""
        plain = listen(settings.pop3_host, settings.pop3_port, PLAIN_VARIABLE, shared=shared)
        ports = cls(plain, [])
        if settings.tls_cert_file is None:
            return ports
        try:
            return replace(
                ports, tls=listen(settings.pop3_host, settings.pop3s_port, TLS_VARIABLE, shared=shared)
            )
        except BaseException:
            ports.close()
            raise

    def addresses(self) -> Iterator[tuple[str, str]]:
        """Yield what to tell of each socket: a label, and the address."""
        for label, sockets in (("POP3", self.plain), ("POP3S", self.tls)):
            for bound in sockets:
                yield label, display(bound.getsockname())

    def numbers(self) -> dict[str, str]:
        """Return the port numbers as settings: what a worker needs to bind the same ports."""
        named = ((PLAIN_VARIABLE, self.plain), (TLS_VARIABLE, self.tls))
        return {variable: str(sockets[0].getsockname()[1]) for variable, sockets in named if sockets}

    def close(self) -> None:
        """Close all sockets."""
        for bound in self.plain + self.tls:
            bound.close()


def require_free_ports(settings: Pop3Settings) -> None:
    """Raise `ListenError` when somebody listens already where the settings say."""
    require_free(settings.pop3_host, settings.pop3_port, PLAIN_VARIABLE)
    if settings.tls_cert_file is not None:
        require_free(settings.pop3_host, settings.pop3s_port, TLS_VARIABLE)
