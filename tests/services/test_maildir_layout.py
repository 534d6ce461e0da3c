"""`PEEP_MAILDIR_LAYOUT`: each user's mail where the layout says, and nobody's for a name without a place."""

from collections.abc import Iterator

import pytest

from support.pop3_process import PASSWORD, Pop3Process, wait_until
from support.redis_server import RedisServer

SHORT = b"Subject: short\n\nHello\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pop3Process]:
    folder = tmp_path_factory.mktemp("pop3")
    with (
        RedisServer() as redis_server,
        Pop3Process(redis_server.url, folder, PEEP_MAILDIR_LAYOUT="{domain}/{local}/Maildir") as process,
    ):
        yield process


def test_mail_is_fetched_and_removed_where_the_layout_says(service: Pop3Process) -> None:
    username = service.add_user(name="ann@example.org")
    service.deliver("example.org/ann/Maildir", SHORT, SHORT)
    for left in (1, 0):
        with service.log_in(username) as client:
            assert client.ask_lines("RETR 1")[0] == b"Subject: short\r\n"
            client.ask("DELE 1")
            assert client.quit().startswith(b"+OK")
        assert len(service.files("example.org/ann/Maildir")) == left


def test_users_of_the_same_local_part_have_each_their_own_mail(service: Pop3Process) -> None:
    service.deliver("a.example/bob/Maildir", SHORT)
    service.deliver("b.example/bob/Maildir", SHORT, SHORT)
    for name, stat in (("bob@a.example", b"+OK 1 25\r\n"), ("bob@b.example", b"+OK 2 50\r\n")):
        with service.log_in(service.add_user(name=name)) as client:
            assert client.ask("STAT") == stat


def test_user_without_a_maildir_yet_has_an_empty_maildrop(service: Pop3Process) -> None:
    with service.log_in(service.add_user(name="new@nowhere.example")) as client:
        assert client.ask("STAT") == b"+OK 0 0\r\n"


@pytest.mark.parametrize("username", ["carl", "@example.org", "carl@", "carl@..", "carl@.", "a@@"])
def test_name_that_is_no_local_part_with_a_domain_has_no_maildrop(
    service: Pop3Process, username: str
) -> None:
    # Where a careless reader of the layout would look for it.
    for folder in ("Maildir", "carl/Maildir", "example.org/Maildir", "../Maildir", f"{username}/Maildir"):
        service.deliver(folder, SHORT)
    service.add_user(name=username)
    for _ in range(2):  # the second time by the password that is remembered
        with service.connect() as client:
            client.ask(f"USER {username}")
            assert client.ask(f"PASS {PASSWORD}").startswith(b"-ERR [SYS/PERM]")
            assert client.ask("STAT").startswith(b"-ERR")
    wait_until(lambda: username not in service.logged_in_users(), "nobody is logged in")
    wait_until(lambda: len(refusals(service, username)) == 2, "both refusals are logged")
    assert refusals(service, username)[0]["reason"] == (
        "the user's name is no local@domain, and PEEP_MAILDIR_LAYOUT asks for one"
    )


def refusals(service: Pop3Process, username: str) -> list[dict[str, str]]:
    return [entry for entry in service.logged("maildrop unreadable") if entry["user"] == username]
