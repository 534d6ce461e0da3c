"""P11: a user's name becomes a folder below the mail directory, and never anything else."""

import pytest

from pop3_service.maildir import maildir_of


def test_the_maildir_is_the_folder_with_the_users_name() -> None:
    assert maildir_of("/var/mail/peep", "alice") == b"/var/mail/peep/alice"


def test_a_slash_at_the_end_of_the_mail_directory_changes_nothing() -> None:
    assert maildir_of("/var/mail/peep/", "alice") == b"/var/mail/peep/alice"


def test_a_mail_directory_outside_ascii_keeps_its_octets() -> None:
    assert maildir_of("/srv/pošta", "alice") == "/srv/pošta/alice".encode()


@pytest.mark.parametrize("username", ["a", "Alice@example.org", "a.b", "!~", "x" * 128, "a..b"])
def test_names_that_p11_allows_stay_as_they_are(username: str) -> None:
    assert maildir_of("/mail", username) == b"/mail/" + username.encode()


@pytest.mark.parametrize(
    "username",
    ["", ".", "..", ".hidden", "../bob", "a/b", "/etc", "x" * 129, "a b", "a\n", "a\r", "a\0b", "a\x7f", "é"],
)
def test_a_name_that_p11_forbids_is_no_folder(username: str) -> None:
    with pytest.raises(ValueError, match="not a user name"):
        maildir_of("/mail", username)
