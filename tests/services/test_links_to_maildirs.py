"""Nobody reads or removes another's mail by way of links, and one maildir has one session."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.pop3_process import PASSWORD, Pop3Client, Pop3Process, wait_until
from support.redis_server import RedisServer

SECRET = b"Subject: for the victim only\n\nsecret\n"
OWN = b"Subject: of one's own\n\nnothing secret\n"
UNREADABLE = b"-ERR [SYS/PERM] the maildrop cannot be read\r\n"
IN_USE = b"-ERR [IN-USE]"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pop3Process]:
    """Give a service that follows no links below its mail directory."""
    with RedisServer() as server, Pop3Process(server.url, tmp_path_factory.mktemp("links")) as process:
        yield process


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pop3Process, Pop3Process]]:
    """Give two services on one mail directory, who follow the operator's links to what lies beside it too."""
    folder = tmp_path_factory.mktemp("replicas")
    with (
        RedisServer() as server,
        Pop3Process(server.url, folder, PEEP_MAIL_ROOTS=str(folder)) as first,
        Pop3Process(server.url, folder, PEEP_MAIL_ROOTS=str(folder)) as second,
    ):
        yield first, second


def refusal(service: Pop3Process, username: str) -> bytes:
    """Return the reply to a login."""
    with service.connect() as client:
        assert client.ask(f"USER {username}").startswith(b"+OK")
        return client.ask(f"PASS {PASSWORD}")


def put_link(maildir: Path, target: Path) -> None:
    """Put a link in the place of a maildir, which is kept beside it."""
    maildir.rename(maildir.with_name(maildir.name + "-kept"))
    maildir.symlink_to(target)


# Links that are not followed


def test_a_link_to_anothers_maildir_is_refused(service: Pop3Process) -> None:
    victim, thief = service.add_user(SECRET), service.add_user(OWN)
    put_link(service.mail / thief, service.mail / victim)
    assert refusal(service, thief) == UNREADABLE
    assert len(service.files(victim)) == 1
    with service.log_in(victim) as client:
        assert client.ask_lines("RETR 1")


def test_a_link_that_replaces_a_maildir_which_the_process_remembers_is_refused(service: Pop3Process) -> None:
    victim, thief = service.add_user(SECRET), service.add_user(OWN)
    for username in (victim, thief, thief):
        with service.log_in(username) as client:
            assert client.quit().startswith(b"+OK")
    put_link(service.mail / thief, service.mail / victim)
    assert refusal(service, thief) == UNREADABLE


def test_a_link_above_the_maildir_is_refused(tmp_path: Path) -> None:
    with (
        RedisServer() as server,
        Pop3Process(server.url, tmp_path, PEEP_MAILDIR_LAYOUT="{user}/Maildir") as service,
    ):
        for name, content in (("victim", SECRET), ("thief", OWN), ("other", OWN)):
            service.add_user(name=name)
            service.deliver(f"{name}/Maildir", content)
        put_link(service.mail / "thief" / "Maildir", service.mail / "victim" / "Maildir")
        put_link(service.mail / "other", service.mail / "victim")
        assert refusal(service, "thief") == UNREADABLE
        assert refusal(service, "other") == UNREADABLE


@pytest.mark.parametrize("command", ["RETR 1", "TOP 1 5"])
def test_a_maildir_that_becomes_a_link_during_a_session_shows_nothing_of_anothers(
    service: Pop3Process, command: str
) -> None:
    victim, thief = service.add_user(), service.add_user(OWN)
    with service.log_in(thief) as client:
        maildir = service.mail / thief
        (own,) = (maildir / "new").iterdir()
        # The very file name, time and size that were listed.
        secret = service.mail / victim / "new" / own.name
        secret.write_bytes(SECRET[: own.stat().st_size])
        os.utime(secret, ns=(own.stat().st_atime_ns, own.stat().st_mtime_ns))
        put_link(maildir, service.mail / victim)
        assert b"nothing secret\r\n" in client.ask_lines(command)
        assert client.ask("DELE 1").startswith(b"+OK")
        assert client.quit().startswith(b"+OK")
    assert secret.exists()
    assert not (maildir.with_name(maildir.name + "-kept") / "new" / own.name).exists()


@pytest.mark.parametrize("folder", ["new", "cur"])
def test_a_folder_that_becomes_a_link_during_a_session_shows_nothing_of_anothers(
    service: Pop3Process, folder: str
) -> None:
    victim, thief = service.add_user(SECRET), service.add_user(OWN)
    with service.log_in(thief) as client:
        put_link(service.mail / thief / folder, service.mail / victim / "new")
        if folder == "new":
            assert client.ask("RETR 1").startswith(b"-ERR [SYS/PERM]")
        assert client.ask("DELE 1").startswith(b"+OK")
        assert client.quit().startswith(b"-ERR [SYS/TEMP] some deleted messages not removed")
    assert len(service.files(victim)) == 1


# The operator's links


def test_a_link_of_the_operators_leads_to_another_disk(replicas: tuple[Pop3Process, Pop3Process]) -> None:
    service, _ = replicas
    username = service.add_user(OWN)
    maildir = service.mail / username
    elsewhere = service.mail.parent / f"disk-of-{username}"
    maildir.rename(elsewhere)
    maildir.symlink_to(elsewhere)
    for _ in range(2):
        with service.log_in(username) as client:
            assert b"nothing secret\r\n" in client.ask_lines("RETR 1")
            assert client.quit().startswith(b"+OK")
    with service.log_in(username) as client:
        assert client.ask("DELE 1").startswith(b"+OK")
        assert client.quit().startswith(b"+OK")
    assert not list((elsewhere / "new").iterdir())


def test_a_link_out_of_the_roots_is_refused(
    replicas: tuple[Pop3Process, Pop3Process], tmp_path: Path
) -> None:
    service, _ = replicas
    username = service.add_user(OWN)
    shutil.move(service.mail / username, tmp_path / "elsewhere")
    (service.mail / username).symlink_to(tmp_path / "elsewhere")
    assert refusal(service, username) == UNREADABLE


def linked_pair(service: Pop3Process) -> tuple[str, str]:
    """Return two users of one maildir."""
    victim = service.add_user(SECRET)
    other = service.add_user()
    put_link(service.mail / other, service.mail / victim)
    return victim, other


def quit_at_once(client: Pop3Client) -> None:
    with client:
        assert client.quit().startswith(b"+OK")


@pytest.mark.parametrize("are_remembered", [False, True])
def test_a_maildir_with_two_names_has_one_session_over_all_replicas(
    replicas: tuple[Pop3Process, Pop3Process], are_remembered: bool
) -> None:
    first, second = replicas
    victim, other = linked_pair(first)
    if are_remembered:
        for service in replicas:
            for username in (victim, other):
                quit_at_once(service.log_in(username))
    for holder, comer in ((victim, other), (other, victim)):
        with first.log_in(holder) as client:
            for service in replicas:
                assert refusal(service, comer).startswith(IN_USE)
            assert client.quit().startswith(b"+OK")
        quit_at_once(second.log_in(comer))
    wait_until(lambda: first.logged_in_users() == [], "nobody is logged in")


def test_a_refused_login_under_the_other_name_frees_nothing(
    replicas: tuple[Pop3Process, Pop3Process],
) -> None:
    first, second = replicas
    victim, other = linked_pair(first)
    with first.log_in(victim):
        for _ in range(3):
            assert refusal(second, other).startswith(IN_USE)
    first.expect_free(victim)
    quit_at_once(second.log_in(other))
