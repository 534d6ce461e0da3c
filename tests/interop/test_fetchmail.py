"""The fetchmail program against the service."""

import pytest

from support.clients import ClientHome, LifelikeMaildrop, Way, require
from support.lifelike_mail import first_difference
from support.mail_fetchers import NO_NEW_MAIL, Fetchmail
from support.pop3_process import Pop3Process


@pytest.fixture(autouse=True)
def _fetchmail() -> None:
    require("fetchmail")


@pytest.mark.parametrize("way", Way)
def test_fetchmail_keeps_lifelike_messages_and_fetches_nothing_twice(
    way: Way, service: Pop3Process, maildrop: LifelikeMaildrop, home: ClientHome
) -> None:
    fetchmail = Fetchmail(home, way.address(service), maildrop.username, "keep", way=way)
    assert fetchmail.run() == 0
    assert first_difference(fetchmail.stored()) == ""
    assert fetchmail.run() == NO_NEW_MAIL
    assert first_difference(fetchmail.stored()) == ""
    # Fetched by TOP with a very high number of lines, which is not counted.
    maildrop.expect_kept(retrieved=0)


@pytest.mark.parametrize("way", [Way.PLAIN, Way.POP3S])
def test_fetchmail_fetches_lifelike_messages_and_deletes_them(
    way: Way, service: Pop3Process, maildrop: LifelikeMaildrop, home: ClientHome
) -> None:
    # With `fetchall` it uses RETR.
    fetchmail = Fetchmail(home, way.address(service), maildrop.username, "nokeep", "fetchall", way=way)
    assert fetchmail.run() == 0
    assert first_difference(fetchmail.stored()) == ""
    maildrop.expect_removed()
    assert fetchmail.run() == NO_NEW_MAIL


def test_fetchmail_fetches_only_what_came_since_it_last_looked(
    service: Pop3Process, home: ClientHome
) -> None:
    username = service.add_user(b"Subject: one\n\n1\n", b"Subject: two\n\n2\n")
    fetchmail = Fetchmail(home, service.address, username, "keep")
    assert fetchmail.run() == 0
    assert len(fetchmail.stored()) == 2
    service.deliver(username, b"Subject: three\n\n3\n")
    assert fetchmail.run() == 0
    subjects = sorted(message.partition(b"\n\n")[0] for message in fetchmail.stored())
    assert subjects == [b"Subject: one", b"Subject: three", b"Subject: two"]
