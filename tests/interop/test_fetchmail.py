"""The fetchmail program against the service."""

import pytest

from support.clients import ClientHome, LifelikeMaildrop, Way, files_in, require, without_headers
from support.lifelike_mail import first_difference
from support.pop3_process import PASSWORD, Pop3Process

# Its manual, EXIT CODES: there was no mail, or none that had not been seen.
NO_NEW_MAIL = 1


@pytest.fixture(autouse=True)
def _fetchmail() -> None:
    require("fetchmail")


class Fetchmail:
    """One user's fetchmail: each message becomes a file, by a delivery command as in its manual."""

    def __init__(
        self, home: ClientHome, service: Pop3Process, username: str, *options: str, way: Way = Way.PLAIN
    ) -> None:
        self._home = home
        self._folder = home.make_folder("stored")
        host, port = way.address(service)
        # It looks for a certificate's names, never for addresses.
        tls = ["sslproto 'TLS1.2+'", "sslcertck", "sslcommonname localhost", f"sslcertfile '{home.ca_file}'"]
        # Without `ssl`, a named protocol makes STLS obligatory.
        security = {Way.PLAIN: ["sslproto ''"], Way.STLS: tls, Way.POP3S: ["ssl", *tls]}[way]
        self._settings = home.write(
            "fetchmailrc",
            f"poll {host} service {port} protocol pop3 uidl auth password",
            f"user '{username}' there with password '{PASSWORD}' is 'nobody' here",
            *options,
            *security,
            # The shell's own number is the file's name, and -C refuses to write over another's.
            f"mda 'set -C; exec cat >{self._folder}/$$'",
        )

    def run(self) -> int:
        """Poll once; return the exit code."""
        done = self._home.run("fetchmail", "--nosyslog", "--fetchmailrc", self._settings)
        assert done.returncode in (0, NO_NEW_MAIL), done.stdout[-2000:]
        return done.returncode

    def stored(self) -> list[bytes]:
        """Return what was stored, without the Received header that fetchmail adds as any MTA does."""
        return without_headers(files_in(self._folder), b"Received: from 127.0.0.1 [127.0.0.1]")


@pytest.mark.parametrize("way", Way)
def test_fetchmail_keeps_lifelike_messages_and_fetches_nothing_twice(
    way: Way, service: Pop3Process, maildrop: LifelikeMaildrop, home: ClientHome
) -> None:
    fetchmail = Fetchmail(home, service, maildrop.username, "keep", way=way)
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
    fetchmail = Fetchmail(home, service, maildrop.username, "nokeep", "fetchall", way=way)
    assert fetchmail.run() == 0
    assert first_difference(fetchmail.stored()) == ""
    maildrop.expect_removed()
    assert fetchmail.run() == NO_NEW_MAIL


def test_fetchmail_fetches_only_what_came_since_it_last_looked(
    service: Pop3Process, home: ClientHome
) -> None:
    username = service.add_user(b"Subject: one\n\n1\n", b"Subject: two\n\n2\n")
    fetchmail = Fetchmail(home, service, username, "keep")
    assert fetchmail.run() == 0
    assert len(fetchmail.stored()) == 2
    service.deliver(username, b"Subject: three\n\n3\n")
    assert fetchmail.run() == 0
    subjects = sorted(message.partition(b"\n\n")[0] for message in fetchmail.stored())
    assert subjects == [b"Subject: one", b"Subject: three", b"Subject: two"]
