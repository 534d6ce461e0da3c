"""What a URL says about Redis, and what is said about a URL that cannot be read."""

import re
from typing import Any

import pytest
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection, parse_url

from state_store.errors import StoreUnusable
from state_store.redis.address import Kind, parse
from state_store.repository import StateRepository


def connection_arguments(url: str) -> dict[str, Any]:
    arguments: dict[str, Any] = dict(parse_url(parse(url).server_url))
    return arguments


def test_url_of_one_server_says_what_redis_py_reads_in_it() -> None:
    url = "rediss://us%40er:se%3Acret@[::1]:6380/2?ssl_ca_certs=/ca.pem&ssl_check_hostname=false"
    assert (parse(url).kind, parse(url).endpoints) == (Kind.SINGLE, (("::1", 6380),))
    assert connection_arguments(url) == {
        "connection_class": SSLConnection,
        "username": "us@er",
        "password": "se:cret",
        "host": "::1",
        "port": 6380,
        "db": 2,
        "ssl_ca_certs": "/ca.pem",
        "ssl_check_hostname": False,
    }


@pytest.mark.parametrize("written", ["fe80::1%eb0", "fe80::1%25eb0"])
def test_zone_of_an_ipv6_address_is_taken_as_people_and_as_urls_write_it(written: str) -> None:
    assert parse(f"redis://[{written}]:1").endpoints == (("fe80::1%eb0", 1),)
    assert connection_arguments(f"redis://[{written}]:1") == {"host": "fe80::1%eb0", "port": 1}
    assert parse(f"redis+cluster://a,[{written}]").endpoints == (("a", 6379), ("fe80::1%eb0", 6379))


def test_url_of_a_socket_says_its_path() -> None:
    assert connection_arguments("unix:///run/redis.sock?db=3&password=secret") == {
        "connection_class": UnixDomainSocketConnection,
        "path": "/run/redis.sock",
        "db": 3,
        "password": "secret",
    }


def test_url_of_sentinels_keeps_their_password_apart_from_the_servers() -> None:
    url = "redis+sentinel://peep:one@a:1,b,[::1]:3/the%20mail?db=4&sentinel_password=two%25"
    address = parse(url)
    assert (address.kind, address.master_name) == (Kind.SENTINEL, "the mail")
    assert address.endpoints == (("a", 1), ("b", 26379), ("::1", 3))
    servers = connection_arguments(url)
    assert servers == {"host": "localhost", "username": "peep", "password": "one", "db": 4}
    assert address.sentinel_options == {"password": "two%"}


def test_tls_of_sentinels_holds_for_the_servers_too() -> None:
    servers = connection_arguments("rediss+sentinel://a:1/mail?ssl_cert_reqs=none")
    assert (servers["connection_class"], servers["ssl_cert_reqs"]) == (SSLConnection, "none")


@pytest.mark.parametrize("path", ["", "/", "/0", "?db=0"])
def test_url_of_a_cluster_names_its_first_nodes(path: str) -> None:
    url = f"redis+cluster://:secret@a:1,b{path}"
    address = parse(url)
    assert (address.kind, address.endpoints) == (Kind.CLUSTER, (("a", 1), ("b", 6379)))
    assert connection_arguments(url)["password"] == "secret"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("redis+cluster://:hunter2@a/1", "database 0"),
        ("redis+cluster://:hunter2@a/?db=1", "database 0"),
        ("redis+sentinel://:hunter2@a:1", "after a slash"),
        ("redis+sentinel://:hunter2@a:1/b/c", "after a slash"),
        ("redis+sentinel://:hunter2@/mail", "its sentinels as host:port,host:port"),
        ("redis+cluster://:hunter2@a:x", "its nodes as host:port,host:port"),
        ("redis+cluster://:hunter2@a:1;b:2", "its nodes as host:port,host:port"),
        ("redis+cluster://:hunter2@a:1,,b", "its nodes as host:port,host:port"),
        ("redis+cluster://:hunter2@a:65536", "its nodes as host:port,host:port"),
        ("redis://:hunter2@[::1", "its server as host:port"),
        ("redis://u:hunter2/more@a", "%2F"),
        ("redis://u:hunter2/more", "its server as host:port"),
        ("redis+other://:hunter2@a", "must begin with redis://, rediss:// or unix://"),
        ("redis://:hunter2@a?db=x", "the option db must be a number"),
        ("redis://:hunter2@a?socket_timeout=5", "the option socket_timeout is none of"),
        ("redis://:hunter2@a?ssl_ca_certs=/ca.pem", "the option ssl_ca_certs is none of"),
        ("redis://a?sentinel_password=hunter2", "the option sentinel_password is none of"),
    ],
)
def test_url_that_cannot_be_read_is_refused_without_its_password(url: str, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)) as refused:
        parse(url)
    assert "hunter" not in str(refused.value)
    with pytest.raises(StoreUnusable, match=r"^PEEP_REDIS_URL: "):
        StateRepository(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://:6380/1",
        "redis+sentinel://u:p@a:1,b:2,[::1]:3/mail?db=0&sentinel_password=x",
        "rediss+sentinel://a/mail",
        "redis+cluster://:p@10.0.0.1:7000,redis-2.example",
        "rediss+cluster://[::1]:7000,a:7001/?ssl_ca_certs=/ca.pem",
    ],
)
async def test_every_kind_is_taken(url: str) -> None:
    await StateRepository(url).close()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost:6379", "localhost:6379"),
        ("rediss://:pass@word@[::1]:6380/2", "[::1]:6380"),
        ("unix:///run/redis.sock?password=hunter2", "/run/redis.sock"),
        ("unix://user:hunter2@/run/redis.sock", "/run/redis.sock"),
        ("redis+sentinel://u:hunter2@a:1,[::1]:2/mail?sentinel_password=hunter3", "a:1,[::1]:2/mail"),
        ("rediss+sentinel://a/mail", "a/mail"),
        ("rediss+cluster://:hunter2@a:1,b:2/0?ssl_ca_certs=/ca.pem", "a:1,b:2"),
        ("rediss+cluster://user:pass@word@[::1]:7000", "[::1]:7000"),
    ],
)
def test_people_are_shown_where_redis_is_and_no_secret(url: str, address: str) -> None:
    assert parse(url).shown == address
