"""Users with other servers' hashes log in by USER and PASS, by AUTH PLAIN, and from then on by SCRAM."""

from collections.abc import Callable, Iterator

import pytest

from support.foreign_hashes import PASSWORD, ForeignHash, one_of_each_scheme
from support.pop3_process import Pop3Client, Pop3Process
from support.redis_server import RedisServer
from support.scram_dialogue import encoded, scram

LogIn = Callable[[Pop3Client, str, str], bytes]

# A verifier, a hash that takes its time, and one that takes none; tests/components tries every scheme.
HASHES = [made for made in one_of_each_scheme() if made.scheme in {"SCRAM-SHA-256", "SHA512-CRYPT", "SSHA"}]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pop3Process]:
    with (
        RedisServer() as redis_server,
        Pop3Process(
            redis_server.url, tmp_path_factory.mktemp("pop3"), PEEP_TRUSTED_NETWORKS="127.0.0.1"
        ) as process,
    ):
        yield process


def by_plain(client: Pop3Client, username: str, password: str) -> bytes:
    return client.ask(f"AUTH PLAIN {encoded(f'{chr(0)}{username}{chr(0)}{password}')}")


def by_pass(client: Pop3Client, username: str, password: str) -> bytes:
    client.ask(f"USER {username}")
    return client.ask(f"PASS {password}")


@pytest.mark.parametrize("log_in", [by_pass, by_plain])
@pytest.mark.parametrize("made", HASHES, ids=str)
def test_user_of_another_server_logs_in_and_has_scram_from_then_on(
    service: Pop3Process, made: ForeignHash, log_in: LogIn
) -> None:
    username = service.import_user(made.text)
    with service.connect() as client:
        assert log_in(client, username, "x" + PASSWORD).startswith(b"-ERR [AUTH]")
        has_verifier = scram(client, username, PASSWORD).startswith(b"+OK")
        assert has_verifier is (made.scheme == "SCRAM-SHA-256")
        if has_verifier:
            assert client.quit().startswith(b"+OK")
    assert service.hash_counts().by_scheme == {made.scheme: 1}
    with service.connect() as client:
        assert log_in(client, username, PASSWORD).startswith(b"+OK 1 message")
        assert client.quit().startswith(b"+OK")
    assert service.hash_counts().by_scheme == {}
    with service.connect() as client:
        assert scram(client, username, PASSWORD).startswith(b"+OK 1 message")
        assert client.quit().startswith(b"+OK")
    with service.connect() as client:
        assert log_in(client, username, PASSWORD).startswith(b"+OK 1 message")
        assert client.quit().startswith(b"+OK")
