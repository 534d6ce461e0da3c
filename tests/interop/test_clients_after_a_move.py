"""Clients that keep mail on the server do not notice that it is another one: nothing is fetched twice."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence

import pytest

from support.clients import ClientHome, lack, require
from support.dovecot import DovecotServer, is_installed
from support.imports import import_unique_ids
from support.mail_fetchers import Address, Fetchmail, Getmail, Mpop
from support.old_mail import OldMaildir
from support.peepctl_program import Peepctl
from support.pop3_process import PASSWORD, Pop3Client, Pop3Process
from support.redis_server import RedisServer
from support.server_switch import ServerSwitch

MESSAGES = 12

Fetch = Callable[[], Sequence[bytes]]
"""Fetches what is new, and returns everything that the client has."""


def by_mpop(home: ClientHome, address: Address, username: str) -> Fetch:
    mpop = Mpop(home, address, username)

    def fetch() -> Sequence[bytes]:
        mpop.run()
        return mpop.stored()

    return fetch


def by_fetchmail(home: ClientHome, address: Address, username: str) -> Fetch:
    fetchmail = Fetchmail(home, address, username, "keep")

    def fetch() -> Sequence[bytes]:
        fetchmail.run()
        return fetchmail.stored()

    return fetch


def by_getmail(home: ClientHome, address: Address, username: str) -> Fetch:
    getmail = Getmail(home, address, username)

    def fetch() -> Sequence[bytes]:
        getmail.run()
        return getmail.stored()

    return fetch


CLIENTS = {"mpop": by_mpop, "fetchmail": by_fetchmail, "getmail": by_getmail}


@pytest.fixture(scope="module")
def dovecot() -> Iterator[DovecotServer]:
    if not is_installed():
        lack("Dovecot 2.3 with dovecot-pop3d")
    with DovecotServer("%08Xu%08Xv") as server:
        yield server


def subjects(messages: Sequence[bytes]) -> list[int]:
    found = [re.search(rb"^Subject: number ([0-9]+)$", message, re.MULTILINE) for message in messages]
    return sorted(int(each[1]) for each in found if each is not None)


@pytest.mark.parametrize("client", CLIENTS)
def test_after_the_move_only_what_is_new_is_fetched(
    client: str, dovecot: DovecotServer, service: Pop3Process, home: ClientHome
) -> None:
    require(client)
    username = service.add_user()
    maildir = OldMaildir(dovecot.mail / username, seed=len(client), hand_over=dovecot.hand_over)
    maildir.deliver(MESSAGES)
    before = list(range(1, MESSAGES + 1))
    with ServerSwitch(dovecot.address) as switch:
        fetch = CLIENTS[client](home, switch.address, username)
        assert subjects(fetch()) == before
        assert subjects(fetch()) == before
        shutil.rmtree(service.mail / username)
        shutil.copytree(maildir.path, service.mail / username)
        assert import_unique_ids(service.mail, username).exit_code == 0
        switch.target = service.address
        assert subjects(fetch()) == before
        service.deliver(username, b"Subject: number 99\n\nnew\n")
        assert subjects(fetch()) == [*before, 99]
        assert subjects(fetch()) == [*before, 99]


@pytest.fixture(scope="module")
def taking_over(dovecot: DovecotServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pop3Process]:
    """Give a service that takes users over from Dovecot at their first login."""
    host, port = dovecot.address
    with (
        RedisServer() as redis,
        Pop3Process(
            redis.url, tmp_path_factory.mktemp("pop3"), PEEP_MOVE_FROM=f"pop3://{host}:{port}"
        ) as process,
    ):
        yield process


def unique_ids(address: Address, username: str) -> tuple[list[bytes], list[bytes]]:
    """Return what UIDL and LIST say."""
    with Pop3Client(address) as client:
        client.log_in(username)
        return client.ask_lines("UIDL"), client.ask_lines("LIST")


@pytest.mark.parametrize("is_mail_there", [False, True], ids=["mail fetched", "mail there"])
@pytest.mark.parametrize("client", CLIENTS)
def test_after_a_first_login_that_moves_the_mail_only_what_is_new_is_fetched(
    client: str,
    is_mail_there: bool,
    dovecot: DovecotServer,
    taking_over: Pop3Process,
    home: ClientHome,
) -> None:
    require(client)
    username = f"{client}-{'there' if is_mail_there else 'fetched'}"
    maildir = OldMaildir(dovecot.mail / username, seed=len(username), hand_over=dovecot.hand_over)
    maildir.deliver(MESSAGES)
    before = list(range(1, MESSAGES + 1))
    with ServerSwitch(dovecot.address) as switch:
        fetch = CLIENTS[client](home, switch.address, username)
        assert subjects(fetch()) == before
        said = unique_ids(dovecot.address, username)
        if is_mail_there:
            shutil.copytree(maildir.path, taking_over.mail / username)
        switch.target = taking_over.address
        assert subjects(fetch()) == before
        assert unique_ids(taking_over.address, username) == said
        assert len(taking_over.files(username)) == MESSAGES
        urls = [f"pop3://127.0.0.1:{server.address[1]}" for server in (dovecot, taking_over)]
        compared = Peepctl(home.path).run(
            "compare", "--old", urls[0], "--new", urls[1], "--users", "-", given=f"{username}:{PASSWORD}\n"
        )
        assert (compared.code, compared.stdout.splitlines()[0]) == (
            0,
            f"{username}  {MESSAGES} of {MESSAGES} the same, in the same order",
        )
        taking_over.deliver(username, b"Subject: number 99\n\nnew\n")
        assert subjects(fetch()) == [*before, 99]
        assert subjects(fetch()) == [*before, 99]
    assert len(maildir.files()) == MESSAGES
