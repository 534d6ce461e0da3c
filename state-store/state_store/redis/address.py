"""The URL of Redis: which servers it names, and how to talk to them. Nothing else reads it.

    redis://[user:password@]host[:port][/db]                                one server
    unix://[user:password@]/path[?db=0]                                     one server on a socket
    redis+sentinel://[user:password@]host[:port],.../master-name[?db=0]     the master that sentinels name
    redis+cluster://[user:password@]host[:port],...                         the Cluster's shard of our keys

`rediss` instead of `redis` means TLS to every server, the sentinels included.
"""

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qsl, unquote, urlencode

Endpoint = tuple[str, int]
"""Host and port of one server."""

SENTINEL_PORT = 26379
SERVER_PORT = 6379

SCHEMES = {"unix"} | {tls + way for tls in ("redis", "rediss") for way in ("", "+sentinel", "+cluster")}

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
"""What may follow `?`, as redis-py names it. Timeouts and retries are not among it: they are ours."""

_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%25[\w.-]+)?)\]|([\w.-]+))(?::(\d{1,5}))?", re.ASCII)
_ZONE = re.compile(r"%(?:25)?(?=[\w.-]+\])", re.ASCII)
"""What comes before the zone of an IPv6 address: `%`, or `%25` as RFC 6874 wants it in a URL."""


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
class RedisAddress:
    """The contents of a URL."""

    kind: Kind
    endpoints: tuple[Endpoint, ...]
    """The server, the sentinels, or the first nodes of a Cluster; none for a socket."""
    master_name: str
    server_url: str
    """What redis-py reads: the URL of the one server; of a server like all of the others."""
    sentinel_options: dict[str, str]
    """User name and password for the sentinels, as redis-py names them."""
    shown: str
    """Where Redis is, for people to read: no user name, password or option of the URL."""


def parse(url: str) -> RedisAddress:
    """Return the contents of `url`. Raises `ValueError`, which never quotes a password."""
    # `urlsplit` does not expect several hosts.
    scheme, _, rest = url.partition("://")
    before_query, _, query = rest.partition("?")
    authority, slash, path = before_query.partition("/")
    user, _, hosts = authority.rpartition("@")
    hosts = _ZONE.sub("%25", hosts)
    if scheme not in SCHEMES:
        raise ValueError(
            "must begin with redis://, rediss:// or unix://, or with redis+sentinel:// or redis+cluster:// "
            "(inside TLS: rediss+sentinel://, rediss+cluster://)"
        )
    if scheme != "unix" and "@" in path:
        raise ValueError("must have each slash of its user name and password as %2F")
    tls, _, way = scheme.partition("+")
    kind = Kind(way or "single")
    options = dict(parse_qsl(query))
    _check_options(options, kind, is_tls=tls == "rediss")
    sentinel = {name: options.pop(name) for name in SENTINEL_OPTIONS & options.keys()}
    if kind is Kind.CLUSTER and (int(options.get("db", 0)) or path not in {"", "0"}):
        raise ValueError("a Cluster has database 0 alone")
    one = hosts + slash + path if kind is Kind.SINGLE else "localhost"
    return RedisAddress(
        kind,
        endpoints=() if scheme == "unix" else _endpoints(kind, hosts),
        master_name=_master_name(path) if kind is Kind.SENTINEL else "",
        server_url=f"{tls}://{user}@{one}?{urlencode(options)}",
        sentinel_options={name.removeprefix("sentinel_"): value for name, value in sentinel.items()},
        shown=slash + path if scheme == "unix" else hosts + (slash + path if kind is Kind.SENTINEL else ""),
    )


def _check_options(options: dict[str, str], kind: Kind, *, is_tls: bool) -> None:
    known = OPTIONS | (TLS_OPTIONS if is_tls else set())
    known |= SENTINEL_OPTIONS if kind is Kind.SENTINEL else set()
    for name in options:
        if name not in known:
            raise ValueError(f"the option {name} is none of {', '.join(sorted(known))}")
    if not re.fullmatch("[0-9]+", options.get("db", "0")):
        raise ValueError("the option db must be a number")


def _endpoints(kind: Kind, hosts: str) -> tuple[Endpoint, ...]:
    if kind is Kind.SINGLE and hosts.partition(":")[0] == "":
        hosts = f"localhost{hosts}"
    endpoints = []
    for text in hosts.split(",") if kind is not Kind.SINGLE else [hosts]:
        found = _HOST_AND_PORT.fullmatch(text)
        port = int(found[3] or (SENTINEL_PORT if kind is Kind.SENTINEL else SERVER_PORT)) if found else 0
        if not found or not 0 < port < 65536:
            raise ValueError(f"must name {_NAMED[kind]}")
        endpoints.append((unquote(found[1] or found[2]), port))
    return tuple(endpoints)


def _master_name(path: str) -> str:
    name = unquote(path.removesuffix("/"))
    if not name or "/" in name:
        raise ValueError("must end with the name that the sentinels give the master, after a slash")
    return name
