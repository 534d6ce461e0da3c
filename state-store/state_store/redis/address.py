"""The URL of Redis: which servers it names, and how to talk to them. Nothing else reads it.

    redis://[user:password@]host[:port][/db]                                one server
    unix://[user:password@]/path[?db=0]                                     one server on a socket
    redis+sentinel://[user:password@]host[:port],.../master-name[?db=0]     the master that sentinels name
    redis+cluster://[user:password@]host[:port],...                         the Cluster's shard of our keys

`rediss` instead of `redis` means TLS to every server, the sentinels included.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qsl, unquote

from state_store.redis import tls
from state_store.redis.tls import TlsOptions

Endpoint = tuple[str, int]
"""Host and port of one server; of a Unix socket its path, and 0."""

SENTINEL_PORT = 26379
SERVER_PORT = 6379

SCHEMES = {"unix"} | {tls + way for tls in ("redis", "rediss") for way in ("", "+sentinel", "+cluster")}

OPTIONS = {"db", "username", "password", "client_name"}
SENTINEL_OPTIONS = {"sentinel_username", "sentinel_password"}
"""What may follow `?`, beside `tls.OPTIONS`, as redis-py names it. Timeouts and retries are ours."""

_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?", re.ASCII)


class Kind(Enum):
    """How the server is found that takes our writes."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


_NAMED = {
    Kind.SINGLE: "its server as host:port",
    Kind.SENTINEL: "its sentinels as host:port,host:port",
    Kind.CLUSTER: "its nodes as host:port,host:port",
}


@dataclass(frozen=True, slots=True)
class Login:
    """What a new connection begins with."""

    username: str = ""
    password: str = ""
    database: int = 0
    client_name: str = ""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """What a URL says."""

    kind: Kind
    endpoints: tuple[Endpoint, ...]
    """The server, the sentinels, or the first nodes of a Cluster."""
    is_socket: bool
    master_name: str
    login: Login
    sentinel_login: Login
    tls: TlsOptions | None
    shown: str
    """Where Redis is, for people to read: no user name, password or option of the URL."""


def parse(url: str) -> RedisAddress:
    """Return what `url` says. Raises `ValueError`, which never quotes a password."""
    # `urlsplit` does not expect several hosts.
    scheme, _, rest = url.partition("://")
    before_query, _, query = rest.partition("?")
    authority, slash, path = before_query.partition("/")
    user, _, hosts = authority.rpartition("@")
    if scheme not in SCHEMES:
        raise ValueError(
            "must begin with redis://, rediss:// or unix://, or with redis+sentinel:// or redis+cluster:// "
            "(inside TLS: rediss+sentinel://, rediss+cluster://)"
        )
    if scheme != "unix" and "@" in path:
        raise ValueError("must have each slash of its user name and password as %2F")
    tls_scheme, _, way = scheme.partition("+")
    kind = Kind(way or "single")
    is_tls, is_socket = tls_scheme == "rediss", scheme == "unix"
    options = dict(parse_qsl(query))
    _check_options(options, kind, is_tls=is_tls)
    login = _login(user, options, path if kind is Kind.SINGLE and not is_socket else "")
    if kind is Kind.CLUSTER and (login.database or path not in {"", "0"}):
        raise ValueError("a Cluster has database 0 alone")
    return RedisAddress(
        kind,
        endpoints=((unquote(slash + path), 0),) if is_socket else _endpoints(kind, hosts),
        is_socket=is_socket,
        master_name=_master_name(path) if kind is Kind.SENTINEL else "",
        login=login,
        sentinel_login=Login(options.get("sentinel_username", ""), options.get("sentinel_password", "")),
        tls=TlsOptions.read(options) if is_tls else None,
        shown=slash + path if is_socket else hosts + (slash + path if kind is Kind.SENTINEL else ""),
    )


def _check_options(options: Mapping[str, str], kind: Kind, *, is_tls: bool) -> None:
    known = OPTIONS | (tls.OPTIONS if is_tls else set())
    known |= SENTINEL_OPTIONS if kind is Kind.SENTINEL else set()
    for name in options:
        if name not in known:
            raise ValueError(f"the option {name} is none of {', '.join(sorted(known))}")
    if not re.fullmatch("[0-9]+", options.get("db", "0")):
        raise ValueError("the option db must be a number")


def _login(user: str, options: Mapping[str, str], path: str) -> Login:
    username, _, password = user.partition(":")
    # As in redis-py: a path that is not a number means database 0.
    number = unquote(path).replace("/", "")
    return Login(
        unquote(username) or options.get("username", ""),
        unquote(password) or options.get("password", ""),
        int(options.get("db") or (number if re.fullmatch("[0-9]+", number) else "0")),
        options.get("client_name", ""),
    )


def _endpoints(kind: Kind, hosts: str) -> tuple[Endpoint, ...]:
    if kind is Kind.SINGLE and hosts.partition(":")[0] == "":
        hosts = f"localhost{hosts}"
    endpoints = []
    for text in hosts.split(",") if kind is not Kind.SINGLE else [hosts]:
        found = _HOST_AND_PORT.fullmatch(text)
        port = int(found[3] or (SENTINEL_PORT if kind is Kind.SENTINEL else SERVER_PORT)) if found else 0
        if not found or not 0 < port < 65536:
            raise ValueError(f"must name {_NAMED[kind]}")
        endpoints.append((found[1] or found[2], port))
    return tuple(endpoints)


def _master_name(path: str) -> str:
    name = unquote(path.removesuffix("/"))
    if not name or "/" in name:
        raise ValueError("must end with the name that the sentinels give the master, after a slash")
    return name
