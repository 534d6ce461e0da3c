"""docs/beside-dovecot-and-postfix.md, typed as it stands there on a Debian host that has Peep's package."""

from collections.abc import Iterator

import pytest

from support.debian_package import VERSION, DebianHost, PackageBuilder
from support.documentation import commands
from support.pop3_process import wait_until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

DELIVERY_SECONDS = 60
MAILDIR = "/var/mail/peep/ann@example.org"

# From an address that is none of Postfix' own networks, as from the Internet.
ASKED_OF_POSTFIX = """python3 -c '
import smtplib, socket
with smtplib.SMTP(socket.gethostbyname(socket.gethostname()), timeout=60) as client:
    client.helo()
    client.mail("sender@example.com")
    for name in ("ann", "nobody"):
        print(name, client.rcpt(f"{name}@example.org")[0])
'"""


@pytest.fixture(scope="module")
def host(builder: PackageBuilder, package: str) -> Iterator[DebianHost]:
    host = DebianHost()
    try:
        host.put("/root", {f"peep_{VERSION}.deb": builder.read(package)})
        host.type_in(commands("install.md", "a Debian host"))
        yield host
    finally:
        host.remove()


def test_mail_comes_by_postfix_and_is_fetched_by_imap_and_by_pop3(host: DebianHost) -> None:
    host.type_in(commands("beside-dovecot-and-postfix.md", "Dovecot"))
    host.type_in(commands("beside-dovecot-and-postfix.md", "users for both"))
    host.type_in(commands("beside-dovecot-and-postfix.md", "Postfix"))
    host.type_in(commands("beside-dovecot-and-postfix.md", "the first mail is sent"))
    wait_until(
        lambda: host.result(f"find {MAILDIR}/new -type f").stdout != "", "mail is delivered", DELIVERY_SECONDS
    )
    fetched = host.type_in(commands("beside-dovecot-and-postfix.md", "the first mail is fetched"))
    assert fetched.count("\nSubject: hello\n") == fetched.count("\n\nThe first mail.\n") == 2
    removed = host.type_in(commands("beside-dovecot-and-postfix.md", "the first mail is removed"))
    assert removed.splitlines()[-1] == "* STATUS INBOX (MESSAGES 0)"
    # Until Dovecot has answered, Postfix asks the sender to come again.
    wait_until(
        lambda: host.type_in(ASKED_OF_POSTFIX).split() == ["ann", "250", "nobody", "550"],
        "Postfix knows who is there",
        DELIVERY_SECONDS,
    )
