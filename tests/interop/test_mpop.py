"""The mpop program against the service."""

import pytest

from support.clients import ClientHome, LifelikeMaildrop, Way, mail_in, require, without_headers
from support.lifelike_mail import first_difference
from support.pop3_process import PASSWORD


@pytest.fixture(autouse=True)
def _mpop() -> None:
    require("mpop")


class Mpop:
    """One user's mpop with a maildir of its own."""

    def __init__(
        self,
        home: ClientHome,
        maildrop: LifelikeMaildrop,
        *,
        way: Way = Way.PLAIN,
        auth: str = "user",
        pipelining: str = "on",
        keep: str = "on",
    ) -> None:
        self._home = home
        self._maildir = home.make_maildir("stored")
        host, port = way.address(maildrop.service)
        self._settings = home.write(
            "mpoprc",
            "account default",
            f"host {host}",
            f"port {port}",
            f"user {maildrop.username}",
            f"password {PASSWORD}",
            f"auth {auth}",
            f"tls {'off' if way is Way.PLAIN else 'on'}",
            f"tls_starttls {'on' if way is Way.STLS else 'off'}",
            f"tls_trust_file {home.ca_file}",
            f"pipelining {pipelining}",
            f"keep {keep}",
            "uidls_file ~/uidls",
            f"delivery maildir {self._maildir}",
        )

    def run(self) -> None:
        """Fetch what is new."""
        done = self._home.run("mpop", "--quiet", "--file", self._settings)
        assert done.returncode == 0, done.stdout[-2000:]

    def stored(self) -> list[bytes]:
        """Return what was stored, without the Received header that mpop adds (`received_header`)."""
        return without_headers(mail_in(self._maildir), b"Received: from 127.0.0.1 (localhost [127.0.0.1])")


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
    mpop = Mpop(home, maildrop, way=way, auth=auth, pipelining=pipelining)
    mpop.run()
    assert first_difference(mpop.stored()) == ""
    mpop.run()
    assert first_difference(mpop.stored()) == ""
    maildrop.expect_kept()


@pytest.mark.parametrize(("way", "pipelining"), [(Way.PLAIN, "off"), (Way.STLS, "on")])
def test_mpop_fetches_lifelike_messages_and_deletes_them(
    way: Way, pipelining: str, maildrop: LifelikeMaildrop, home: ClientHome
) -> None:
    mpop = Mpop(home, maildrop, way=way, pipelining=pipelining, keep="off")
    mpop.run()
    assert first_difference(mpop.stored()) == ""
    maildrop.expect_removed()
