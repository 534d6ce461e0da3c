"""The getmail program (Debian's getmail6) against the service."""

import sys

import pytest

from support.clients import ClientHome, LifelikeMaildrop, Way, require
from support.lifelike_mail import MESSAGES, first_difference
from support.mail_fetchers import Getmail

# getmail knows no STLS.
WAYS = [Way.PLAIN, Way.POP3S]


@pytest.fixture(autouse=True)
def _getmail() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux's /proc tells that a process waits")
    require("getmail")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("way", WAYS)
def test_getmail_keeps_lifelike_messages_then_finds_none_new_then_deletes_them(
    way: Way, maildrop: LifelikeMaildrop, home: ClientHome
) -> None:
    getmail = Getmail(home, way.address(maildrop.service), maildrop.username, way)
    assert b"\n  200 messages (" in getmail.run()
    assert first_difference(getmail.stored()) == ""
    maildrop.expect_kept()
    assert b"\n  0 messages (0 bytes) retrieved, 200 skipped" in getmail.run()
    maildrop.expect_kept()
    getmail.run(delete=True)
    assert first_difference(getmail.stored()) == ""
    maildrop.expect_removed(retrieved=MESSAGES)
