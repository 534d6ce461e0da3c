"""Where the server is and as whom to log in: options, environment, settings file, a local Peep's data."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

from peep_client import PORT, TLS_PORT
from peepctl.settings_layers import Layer, from_environment, from_file, layer, port, read

_Value = TypeVar("_Value")

HOST = "127.0.0.1"

USER = "admin"
"""Whom the first start of a Peep makes."""


@dataclass(frozen=True, slots=True)
class Given:
    """What options say; None where one was not given."""

    host: str | None = None
    port: int | None = None
    user: str | None = None
    tls: bool | None = None
    ca_file: str | None = None
    insecure: bool | None = None
    config: str | None = None

    def over(self, less: Given) -> Given:
        """Return what holds when `less` is given too, and gives way."""
        pairs = ((getattr(self, field.name), getattr(less, field.name)) for field in fields(self))
        return Given(*(mine if mine is not None else other for mine, other in pairs))


@dataclass(frozen=True, slots=True)
class Password:
    """A password, and where it is from, to be told when it is wrong."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """One server, and as whom to log in there; a `password` of None has to be asked for."""

    host: str
    port: int
    user: str
    password: Password | None
    tls: bool = False
    ca_file: str | None = None
    insecure: bool = False

    @property
    def address(self) -> str:
        """Host and port as people write them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def find(given: Given, environment: Mapping[str, str] = os.environ) -> Whereabouts:
    """Return where to connect and as whom. Raises `WrongSettings`."""
    options = layer(
        "the command line",
        host=given.host,
        port=given.port,
        user=given.user,
        tls=given.tls,
        ca_file=given.ca_file,
    )
    variables, file = from_environment(environment), from_file(given.config, environment)
    layers = (options, variables, file)
    host = _first(layer.host for layer in layers) or HOST
    user = _first(layer.user for layer in layers)
    ca_file = _first(layer.ca_file for layer in layers)
    is_tls = _first(layer.tls for layer in layers)
    if is_tls is None:
        is_tls = bool(given.insecure or ca_file)
    # Port and password that are set beside a host are for that host, and for nobody else's.
    fitting = [layer for layer in layers if layer.host in (None, host)]
    name, password = _credentials(user, fitting, host, environment)
    return Whereabouts(
        host,
        _first(layer.port for layer in fitting) or _usual_port(host, environment, is_tls=is_tls),
        name,
        password,
        is_tls,
        ca_file,
        bool(given.insecure),
    )


def _credentials(
    user: str | None, keepers: Iterable[Layer], host: str, environment: Mapping[str, str]
) -> tuple[str, Password | None]:
    for keeper in keepers:
        # A password that is kept with a name is for that name only.
        if keeper.user in (None, user or keeper.user) and (password := _password(keeper)):
            return user or keeper.user or USER, password
    if _is_this_machine(host) and (pair := _local_administrator(user, environment)):
        return pair
    return user or USER, None


def _password(keeper: Layer) -> Password | None:
    if keeper.password:
        return Password(keeper.password, keeper.source)
    if keeper.password_file is None:
        return None
    path = Path(keeper.password_file).expanduser()
    return Password(read(path).rstrip("\r\n"), str(path))


def _local_administrator(user: str | None, environment: Mapping[str, str]) -> tuple[str, Password] | None:
    path = Path(environment.get("PEEP_DATA_DIR") or "./data") / "admins"
    try:
        pairs = [pair.partition(":") for pair in path.read_text("utf-8").strip().split(",")]
    except (OSError, UnicodeDecodeError):
        return None  # nobody runs `peepctl up` here, or it is somebody else's
    for name, _, password in pairs:
        if password and user in (None, name):
            return name, Password(password, str(path))
    return None


def _usual_port(host: str, environment: Mapping[str, str], *, is_tls: bool) -> int:
    # Who has a `peepctl up` on this machine listen elsewhere has these set, here as there.
    name, usual = ("PEEP_TLS_PORT", TLS_PORT) if is_tls else ("PEEP_PORT", PORT)
    text = environment.get(name, "")
    return port(text, name) if _is_this_machine(host) and text not in ("", "0") else usual


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _first(values: Iterable[_Value | None]) -> _Value | None:
    return next((value for value in values if value is not None), None)
