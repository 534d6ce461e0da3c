"""P11: a user's name becomes a folder below the mail directory, and never anything else."""

import pytest

from pop3_service.maildir import MaildirUnreadable, maildir_of
from service_runtime.maildir_layout import MaildirLayout

NAMES = MaildirLayout()
DOMAINS = MaildirLayout("{domain}/{local}/Maildir")


def test_the_maildir_is_the_folder_with_the_users_name() -> None:
    assert maildir_of("/var/mail/peep", "alice", NAMES).whole == b"/var/mail/peep/alice"


def test_another_layout_puts_it_elsewhere_below_the_mail_directory() -> None:
    assert (
        maildir_of("/srv/mail", "alice@example.org", DOMAINS).whole == b"/srv/mail/example.org/alice/Maildir"
    )


@pytest.mark.parametrize(("mail_directory", "root"), [("/var/mail/peep/", b"/var/mail/peep"), ("/", b"")])
def test_a_slash_at_the_end_of_the_mail_directory_changes_nothing(mail_directory: str, root: bytes) -> None:
    assert maildir_of(mail_directory, "alice", NAMES).whole == root + b"/alice"


def test_a_mail_directory_outside_ascii_keeps_its_octets() -> None:
    assert maildir_of("/srv/pošta", "alice", NAMES).whole == "/srv/pošta/alice".encode()


@pytest.mark.parametrize("username", ["a", "Alice@example.org", "a.b", "!~", "x" * 128, "a..b", "a@.."])
def test_names_that_p11_allows_stay_as_they_are(username: str) -> None:
    assert maildir_of("/mail", username, NAMES).whole == b"/mail/" + username.encode()


@pytest.mark.parametrize("layout", [NAMES, DOMAINS])
@pytest.mark.parametrize(
    "username",
    [
        *("", ".", "..", ".hidden", "../bob", "a/b", "/etc", "x" * 129, "a b", "a\n", "a\r", "a\0b", "a\x7f"),
        *("é", "a@b/c", "a/../b@c", "a@../x", "..@..", ".@x"),
    ],
)
def test_a_name_that_p11_forbids_is_no_folder(username: str, layout: MaildirLayout) -> None:
    with pytest.raises(ValueError, match="not a user name"):
        maildir_of("/mail", username, layout)


@pytest.mark.parametrize("username", ["alice", "a@", "@x", "a@..", "a@.", "a@.x"])
def test_a_name_that_the_layout_has_no_folder_for_is_an_unreadable_maildrop(username: str) -> None:
    with pytest.raises(MaildirUnreadable, match="is no local@domain") as caught:
        maildir_of("/mail", username, DOMAINS)
    assert username not in str(caught.value).split()
