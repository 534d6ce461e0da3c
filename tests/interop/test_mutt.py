"""The mutt program, which reads a maildrop in place, against the service."""

import sys

import pytest

from support.clients import ClientHome, LifelikeMaildrop, Way, mail_in, require, without_headers
from support.lifelike_mail import first_difference
from support.pop3_process import PASSWORD


@pytest.fixture(autouse=True)
def _mutt() -> None:
    # mutt wants a terminal, and `script` gives it one; its options differ elsewhere.
    if sys.platform != "linux":
        pytest.skip("only Linux's `script` gives mutt a terminal here")
    require("mutt", "script")


def copy_all(
    home: ClientHome, maildrop: LifelikeMaildrop, way: Way, authenticator: str, command: str
) -> list[bytes]:
    """Open the maildrop and do `command` to all its messages, by keys pressed; return what was stored."""
    maildir = home.make_maildir("stored")
    settings = home.write(
        "muttrc",
        "set pop_checkinterval=0 pop_reconnect=no header_cache='' mbox_type=Maildir sleep_time=0",
        # Where its default, ~/Mail, is missing, mutt asks before it reads a key that is pushed.
        f"set folder={home.path}",
        "set confirmappend=no confirmcreate=no quit=yes delete=yes wait_key=no",
        f"set pop_authenticators='{authenticator}'",
        f"set certificate_file='{home.ca_file}'",
        f"set ssl_force_tls={'no' if way is Way.PLAIN else 'yes'}",
        f"set ssl_starttls={'no' if way is Way.PLAIN else 'yes'}",
        f'push "<tag-pattern>~A<enter><tag-prefix>{command}{maildir}<enter><quit>"',
    )
    host, port = way.address(maildrop.service)
    scheme = "pops" if way is Way.POP3S else "pop"
    url = f"{scheme}://{maildrop.username}:{PASSWORD}@{host}:{port}"
    mutt = f"mutt -n -F {settings} -f {url}"
    done = home.run("script", "--quiet", "--return", "--command", mutt, "/dev/null", TERM="vt100")
    assert done.returncode == 0, done.stdout[-2000:]
    # What mutt writes into every folder of its own, so that it need not count again.
    return without_headers(mail_in(maildir), b"Content-Length: ", b"Lines: ")


@pytest.mark.parametrize(
    ("way", "authenticator"),
    [
        (Way.PLAIN, "scram-sha-256"),
        (Way.STLS, "plain"),
        (Way.POP3S, "user"),
    ],
)
def test_mutt_copies_lifelike_messages_exactly(
    way: Way, authenticator: str, maildrop: LifelikeMaildrop, home: ClientHome
) -> None:
    assert first_difference(copy_all(home, maildrop, way, authenticator, "<copy-message>")) == ""
    maildrop.expect_kept()


def test_mutt_saves_lifelike_messages_and_deletes_them(maildrop: LifelikeMaildrop, home: ClientHome) -> None:
    assert first_difference(copy_all(home, maildrop, Way.STLS, "user", "<save-message>")) == ""
    maildrop.expect_removed()
