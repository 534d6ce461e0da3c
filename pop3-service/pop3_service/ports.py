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
        """Yield a label and the address of each socket, to be logged."""
        for label, sockets in (("POP3", self.plain), ("POP3S", self.tls)):
            for bound in sockets:
                yield label, display(bound.getsockname())

    @classmethod
    def bind_each(cls, settings: Pop3Settings, number: int) -> "list[Ports]":
        """Bind the same ports `number` times, once for each process. Raises `ListenError`."""
        first = cls.bind(settings, shared=True)
        same = settings.model_copy(update=_numbers(first))
        ports = [first]
        try:
            while len(ports) < number:
                ports.append(cls.bind(same, shared=True))
        except BaseException:
            for bound in ports:
                bound.close()
            raise
        return ports

    @classmethod
    def inherited(cls, description: str) -> "Ports":
        """Return the sockets that the parent process has bound and passed on; `description` is its own."""
        plain, tls = (
            [int(number) for number in part.split(",") if number] for part in description.split("+")
        )
        ports = cls(
            [socket.socket(fileno=number) for number in plain],
            [socket.socket(fileno=number) for number in tls],
        )
        for bound in ports.plain + ports.tls:
            bound.set_inheritable(False)
            bound.setblocking(False)
        return ports

    def description(self) -> str:
        """Return the argument with which a child process calls `inherited`."""
        return "+".join(",".join(str(bound.fileno()) for bound in part) for part in (self.plain, self.tls))

    def descriptors(self) -> list[int]:
        """Return the file descriptors that a child process has to inherit."""
        return [bound.fileno() for bound in self.plain + self.tls]

    def close(self) -> None:
        """Close all sockets."""
        for bound in self.plain + self.tls:
            bound.close()


def require_free_ports(settings: Pop3Settings) -> None:
    """Raise `ListenError` when another program listens on one of the ports already."""
    require_free(settings.pop3_host, settings.pop3_port, PLAIN_VARIABLE)
    if settings.tls_cert_file is not None:
        require_free(settings.pop3_host, settings.pop3s_port, TLS_VARIABLE)


def _numbers(ports: Ports) -> dict[str, int]:
    named = (("pop3_port", ports.plain), ("pop3s_port", ports.tls))
    return {field: sockets[0].getsockname()[1] for field, sockets in named if sockets}
