"""The address of Redis: which servers a URL names, and how to talk to them.

    redis://[user:password@]host[:port][/db]                                one server
    unix://[user:password@]/path[?db=0]                                     one server on a socket
    redis+sentinel://[user:password@]host[:port],.../master-name[?db=0]     the master that sentinels name
    redis+cluster://[user:password@]host[:port],...                         the Cluster's shard of our keys

`rediss` in the place of `redis` means TLS to every server, the sentinels included.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from redis.asyncio.connection import AbstractConnection, Connection, parse_url

Place = tuple[str, int]
"""Host and port of one server."""

SENTINEL_PORT = 26379
SERVER_PORT = 6379

OPTIONS = {"db", "username", "password", "client_name"}
TLS_OPTIONS = {
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_ca_data",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_ciphers",
    "ssl_keyfile",
    "ssl_min_version",
    "ssl_password",
}
SENTINEL_OPTIONS = {"sentinel_username", "sentinel_password"}
"""What may stand after `?`, as redis-py names it. Times and repetitions are not among it: they are ours."""


class Kind(Enum):
    """How the server is found that takes our writes."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class UrlParts:
    """A URL taken apart, nothing decoded; `urlsplit` does not foresee several hosts in one."""

    scheme: str
    user: str
    hosts: str
    path: str
    query: str

    @property
    def kind(self) -> Kind:
        """How the server is found."""
        return Kind(self.scheme.partition("+")[2] or "single")

    @property
    def is_tls(self) -> bool:
        """Whether everything is said inside TLS."""
        return self.scheme.startswith("rediss")


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """What a URL says: the servers to begin with, and the arguments of every connection to them."""

    kind: Kind
    places: tuple[Place, ...]
    master_name: str
    connection_class: type[AbstractConnection]
    arguments: dict[str, Any]
    sentinel_arguments: dict[str, Any]


def split(url: str) -> UrlParts:
    """Return the parts of a URL, whether or not they make sense."""
    scheme, _, rest = url.partition("://")
    before_query, _, query = rest.partition("?")
    authority, slash, path = before_query.partition("/")
    user, _, hosts = authority.rpartition("@")
    return UrlParts(scheme, user, hosts, slash + path, query)


def parse(url: str) -> RedisAddress:
    """Return what `url` says. Raises `ValueError`, which never quotes a password."""
    parts = split(url)
    options = dict(parse_qsl(parts.query))
    _check_options(parts, options)
    sentinel = {name: options.pop(name) for name in SENTINEL_OPTIONS & options.keys()}
    # redis-py reads the URL of one server; all the servers are talked to alike.
    one = "rediss" if parts.is_tls else "redis"
    if parts.kind is Kind.SINGLE:
        one, host, path = parts.scheme, parts.hosts, parts.path
    else:
        host, path = "localhost", ""
    arguments: dict[str, Any] = dict(parse_url(f"{one}://{parts.user}@{host}{path}?{urlencode(options)}"))
    connection_class = arguments.pop("connection_class", Connection)
    if parts.kind is Kind.CLUSTER and (arguments.get("db") or parts.path not in {"", "/", "/0"}):
        raise ValueError("a Cluster has database 0 alone")
    sentinel_arguments = {name: value for name, value in arguments.items() if name not in OPTIONS}
    sentinel_arguments |= {name.removeprefix("sentinel_"): value for name, value in sentinel.items()}
    return RedisAddress(
        parts.kind,
        _places(parts),
        _master_name(parts),
        connection_class,
        arguments,
        sentinel_arguments,
    )


def _check_options(parts: UrlParts, options: dict[str, str]) -> None:
    known = set(OPTIONS)
    if parts.is_tls:
        known |= TLS_OPTIONS
    if parts.kind is Kind.SENTINEL:
        known |= SENTINEL_OPTIONS
    for name in options:
        if name not in known:
            raise ValueError(f"the option {name} is none of {', '.join(sorted(known))}")


def _places(parts: UrlParts) -> tuple[Place, ...]:
    if parts.kind is Kind.SINGLE:
        return ()
    port = SENTINEL_PORT if parts.kind is Kind.SENTINEL else SERVER_PORT
    return tuple(_place(text, port) for text in parts.hosts.split(","))


def _place(text: str, default_port: int) -> Place:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default_port)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("its hosts must be host:port, separated by commas")
    return host, int(port)


def _master_name(parts: UrlParts) -> str:
    if parts.kind is not Kind.SENTINEL:
        return ""
    name = unquote(parts.path.removeprefix("/").removesuffix("/"))
    if not name or "/" in name:
        raise ValueError("the name that the sentinels give the master must follow the hosts, after a slash")
    return name
