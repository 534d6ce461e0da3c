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
from support.pop3_process import Pop3Process
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
