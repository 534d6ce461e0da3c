"""The server to connect to and the administrator to log in as, out of all sources."""

import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from peep_client import PORT, TLS_PORT
from peepctl.left_addresses import FILE, data_directory, left_addresses
from peepctl.sources import Source, from_environment, from_file, port, read, source

_Value = TypeVar("_Value")

HOST = "127.0.0.1"

API_PORT = 8110

USER = "admin"
"""The administrator that the first start of a Peep creates."""

INSTALLED = Path("/etc/peep/admins")
"""The administrators of a Peep that a package has installed on this machine; only root can read it."""

_PARTS = {
    "PEEP": ("PEEP_PORT", PORT),
    "PEEPS": ("PEEP_TLS_PORT", TLS_PORT),
    "HTTP": ("PEEP_HTTP_PORT", API_PORT),
}
"""By its label, the variable that sets the port of a part of a Peep, and its usual port."""

_REACHED_AT = {"0.0.0.0": (HOST,), "::": (HOST, "::1")}  # noqa: S104 - compared, not bound
"""The addresses of this machine at which a part is reached that listens everywhere."""


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """The connection options; None for those that were not given."""

    host: str | None = None
    port: int | None = None
    user: str | None = None
    tls: bool | None = None
    ca_file: str | None = None
    insecure: bool | None = None
    config: str | None = None
    http: str | None = None
    timeout: int | None = None


@dataclass(frozen=True, slots=True)
class Password:
    """A password or token, and the source to name when the server refuses it."""

    text: str = field(repr=False)
    source: str
    only_to: tuple[str, ...] | None = None
    """The addresses that it was found with, the only ones it may go to; None: somebody has given it."""

    def may_go_to(self, address: str) -> bool:
        """Return whether it may be sent to a `HOST:PORT` of PEEP, or to a URL of the HTTP API."""
        return self.only_to is None or address.rstrip("/") in self.only_to


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server and the login there; without a `password` that may go to it, one has to be prompted for."""

    host: str
    port: int
    user: str
    password: Password | None
    tls: bool = False
    ca_file: str | None = None
    insecure: bool = False
    http: str = ""
    """The address of the HTTP API."""
    token: Password | None = None
    """An API token, for the HTTP API alone."""
    timeout: int | None = None
    """How many seconds the server may take to answer; None: as long as what is asked usually needs."""

    @property
    def address(self) -> str:
        """Host and port as people write them."""
        return _written(self.host, self.port)


def find(options: ConnectionOptions, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Return where to connect and as whom. Raises `WrongSettings`."""
    sources = (
        source(
            "the command line",
            host=options.host,
            port=options.port,
            user=options.user,
            tls=options.tls,
            ca_file=options.ca_file,
            http=options.http,
            timeout=options.timeout,
        ),
        from_environment(environment),
        from_file(options.config, environment),
    )
    host = _first(one.host for one in sources) or HOST
    user = _first(one.user for one in sources)
    ca_file = _first(one.ca_file for one in sources)
    is_tls = _first(one.tls for one in sources)
    if is_tls is None:
        is_tls = bool(options.insecure or ca_file)
    # A port or a password beside a host is for that host only.
    fitting = [one for one in sources if one.host in (None, host)]
    name, password = _login(user, fitting, host, environment)
    return Endpoint(
        host,
        _first(one.port for one in fitting)
        or _default_port("PEEPS" if is_tls else "PEEP", host, environment),
        name,
        password,
        is_tls,
        ca_file,
        bool(options.insecure),
        _first(one.http for one in fitting)
        or f"http://{_written(host, _default_port('HTTP', host, environment))}",
        _token(fitting),
        _first(one.timeout for one in sources),
    )


def _login(
    user: str | None, sources: Iterable[Source], host: str, environment: Mapping[str, str]
) -> tuple[str, Password | None]:
    for one in sources:
        # A password beside a user is for that user only.
        if one.user in (None, user or one.user) and (password := _password(one)):
            return user or one.user or USER, password
    if _is_this_machine(host) and (login := _local_administrator(user, environment)):
        return login
    return user or USER, None


def _token(sources: Iterable[Source]) -> Password | None:
    """Return the token of the first source that says who asks; None where that one names an administrator."""
    for one in sources:
        if one.token:
            return Password(one.token, one.place_of("token"))
        if one.token_file is not None:
            path = Path(one.token_file).expanduser()
            return Password(read(path).strip(), str(path))
        if one.user or one.password or one.password_file:
            return None
    return None


def _password(found: Source) -> Password | None:
    if found.password:
        return Password(found.password, found.place_of("password"))
    if found.password_file is None:
        return None
    path = Path(found.password_file).expanduser()
    return Password(read(path).rstrip("\r\n"), str(path))


def _local_administrator(user: str | None, environment: Mapping[str, str]) -> tuple[str, Password] | None:
    for path, left in ((data_directory(environment) / "admins", _left_parts(environment)), (INSTALLED, {})):
        try:
            pairs = [pair.strip().partition(":") for pair in re.split("[,\n]", path.read_text("utf-8"))]
        except (OSError, UnicodeDecodeError):
            continue  # no such Peep is here, or this user may not read it
        for name, _, password in pairs:
            if password and user in (None, name):
                return name, Password(password, str(path), _addresses(left, environment))
    return None


def _addresses(left: Mapping[str, tuple[str, int]], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return where a Peep here serves administrators: the addresses that it has left, else the usual ones."""
    places = left or {label: (HOST, _port_of(label, {}, environment)) for label in _PARTS}
    return tuple(
        ("http://" if label == "HTTP" else "") + _written(host, number)
        for label, (bound, number) in places.items()
        for host in _REACHED_AT.get(bound, (bound,))
    )


def _default_port(label: str, host: str, environment: Mapping[str, str]) -> int:
    if not _is_this_machine(host):
        return _PARTS[label][1]
    return _port_of(label, _left_parts(environment), environment)


def _left_parts(environment: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    return {label: place for label, place in left_addresses(environment).items() if label in _PARTS}


def _port_of(label: str, left: Mapping[str, tuple[str, int]], environment: Mapping[str, str]) -> int:
    variable, usual = _PARTS[label]
    # `peepctl up` with other ports has these variables set, and so has the shell beside it.
    text = environment.get(variable, "")
    return port(text, variable) if text not in ("", "0") else left.get(label, (HOST, usual))[1]


def _written(host: str, number: int) -> str:
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


def searched(host: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return where a `peepctl up` was looked for on this machine in vain; empty where none was, or one is."""
    if not _is_this_machine(host) or "PEEP" in left_addresses(environment):
        return ""
    path = (data_directory(environment) / FILE).absolute()
    return f"no peepctl up has left its addresses in {path} (PEEP_DATA_DIR names another folder)"


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _first(values: Iterable[_Value | None]) -> _Value | None:
    return next((value for value in values if value is not None), None)
