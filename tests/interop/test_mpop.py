"""The mpop program against the service."""

import pytest

from support.clients import ClientHome, LifelikeMaildrop, Way, require
from support.lifelike_mail import first_difference
from support.mail_fetchers import Mpop


@pytest.fixture(autouse=True)
def _mpop() -> None:
    require("mpop")


# Each way and each authentication with pipelining and without.
@pytest.mark.parametrize(
    ("way", "auth", "pipelining"),
    [
        (Way.PLAIN, "user", "on"),
        (Way.PLAIN, "scram-sha-256", "off"),
        (Way.STLS, "plain", "on"),
        (Way.STLS, "user", "off"),
        (Way.POP3S, "scram-sha-256", "on"),
        (Way.POP3S, "plain", "off"),
    ],
)
def test_mpop_keeps_lifelike_messages_and_fetches_nothing_twice(
    way: Way, auth: str, pipelining: str, maildrop: LifelikeMaildrop, home: ClientHome
) -> None:
    mpop = Mpop(
        home, way.address(maildrop.service), maildrop.username, way=way, auth=auth, pipelining=pipelining
    )
    mpop.run()
    assert first_difference(mpop.stored()) == ""
    mpop.run()
    assert first_difference(mpop.stored()) == ""
    maildrop.expect_kept()


@pytest.mark.parametrize(("way", "pipelining"), [(Way.PLAIN, "off"), (Way.STLS, "on")])
def test_mpop_fetches_lifelike_messages_and_deletes_them(
    way: Way, pipelining: str, maildrop: LifelikeMaildrop, home: ClientHome
) -> None:
    mpop = Mpop(
        home, way.address(maildrop.service), maildrop.username, way=way, pipelining=pipelining, keep="off"
    )
    mpop.run()
    assert first_difference(mpop.stored()) == ""
    maildrop.expect_removed()
