"""What a URL says about Redis, and what is said about a URL that cannot be read."""

import pytest
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection

from service_runtime.setting_formats import _redis_url
from state_store.errors import StoreUnusable
from state_store.redis.address import Kind, parse
from state_store.redis.repository import RedisRepository


def test_url_of_one_server_says_what_redis_py_reads_in_it() -> None:
    address = parse("rediss://us%40er:se%3Acret@[::1]:6380/2?ssl_ca_certs=/ca.pem&ssl_check_hostname=false")
    assert (address.kind, address.connection_class) == (Kind.SINGLE, SSLConnection)
    assert address.arguments == {
        "username": "us@er",
        "password": "se:cret",
        "host": "::1",
        "port": 6380,
        "db": 2,
        "ssl_ca_certs": "/ca.pem",
        "ssl_check_hostname": False,
    }


def test_url_of_a_socket_says_its_path() -> None:
    address = parse("unix:///run/redis.sock?db=3&password=secret")
    assert address.connection_class is UnixDomainSocketConnection
    assert address.arguments == {"path": "/run/redis.sock", "db": 3, "password": "secret"}


def test_url_of_sentinels_keeps_their_password_apart_from_the_servers() -> None:
    address = parse("redis+sentinel://peep:one@a:1,b,[::1]:3/the%20mail?db=4&sentinel_password=two%25")
    assert (address.kind, address.master_name) == (Kind.SENTINEL, "the mail")
    assert address.places == (("a", 1), ("b", 26379), ("::1", 3))
    assert address.connection_class is Connection
    servers = {name: value for name, value in address.arguments.items() if name not in {"host", "port"}}
    assert servers == {"username": "peep", "password": "one", "db": 4}
    sentinels = {
        name: value for name, value in address.sentinel_arguments.items() if name not in {"host", "port"}
    }
    assert sentinels == {"password": "two%"}


def test_tls_of_sentinels_holds_for_them_and_for_the_servers() -> None:
    address = parse("rediss+sentinel://a:1/mail?ssl_cert_reqs=none")
    assert address.connection_class is SSLConnection
    assert address.arguments["ssl_cert_reqs"] == address.sentinel_arguments["ssl_cert_reqs"] == "none"


@pytest.mark.parametrize("path", ["", "/", "/0", "?db=0"])
def test_url_of_a_cluster_names_its_first_nodes(path: str) -> None:
    address = parse(f"redis+cluster://:secret@a:1,b{path}")
    assert (address.kind, address.places) == (Kind.CLUSTER, (("a", 1), ("b", 6379)))
    assert address.arguments["password"] == "secret"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("redis+cluster://:hunter2@a/1", "database 0"),
        ("redis+cluster://:hunter2@a/?db=1", "database 0"),
        ("redis+sentinel://:hunter2@a:1", "name that the sentinels give"),
        ("redis+sentinel://:hunter2@a:1/b/c", "name that the sentinels give"),
        ("redis+cluster://:hunter2@a:x", "host:port"),
        ("redis+cluster://:hunter2@a:1,,b", "host:port"),
        ("redis+cluster://:hunter2@a:65536", "host:port"),
        ("redis://:hunter2@a?db=x", "'db'"),
        ("redis://:hunter2@a?socket_timeout=5", "the option socket_timeout is none of"),
        ("redis://:hunter2@a?ssl_ca_certs=/ca.pem", "the option ssl_ca_certs is none of"),
        ("redis://a?sentinel_password=hunter2", "the option sentinel_password is none of"),
    ],
)
async def test_url_that_cannot_be_read_is_never_waited_for(url: str, fault: str) -> None:
    repository = RedisRepository(url)
    with pytest.raises(StoreUnusable) as refused:
        await repository.prepare()
    await repository.close()
    assert str(refused.value).startswith("PEEP_REDIS_URL: ")
    assert fault in str(refused.value)
    assert "hunter" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://u:p@a:1,b:2,[::1]:3/mail?db=0&sentinel_password=x",
        "rediss+sentinel://a/mail",
        "redis+cluster://:p@10.0.0.1:7000,redis-2.example",
        "rediss+cluster://[::1]:7000,a:7001/?ssl_ca_certs=/ca.pem",
    ],
)
def test_settings_take_every_kind(url: str) -> None:
    assert _redis_url(url) == url
    assert parse(url).kind in {Kind.SENTINEL, Kind.CLUSTER}


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("redis+sentinel://:hunter2@a:1,b:2", "after a slash"),
        ("redis+sentinel://:hunter2@/mail", "its sentinels as host:port,host:port"),
        ("redis+cluster://:hunter2@a:1;b:2", "its nodes as host:port,host:port"),
        ("redis+other://:hunter2@a", "must begin with redis://, rediss:// or unix://"),
    ],
)
def test_settings_refuse_what_can_be_seen_to_be_wrong(url: str, fault: str) -> None:
    with pytest.raises(ValueError, match="must") as refused:
        _redis_url(url)
    assert fault in str(refused.value)
    assert "hunter" not in str(refused.value)
