"""What `PEEP_MAILDIR_LAYOUT` may be, and which names have a maildir in it."""

import pytest

from service_runtime.maildir_layout import LONGEST_LAYOUT_OCTETS, MaildirLayout


@pytest.mark.parametrize(
    ("layout", "folder"),
    [
        ("{user}", "ann@example.org"),
        ("{user}/Maildir", "ann@example.org/Maildir"),
        ("{domain}/{local}", "example.org/ann"),
        ("{domain}/{local}/Maildir", "example.org/ann/Maildir"),
        ("vhosts/{domain}/{user}/.maildir", "vhosts/example.org/ann@example.org/.maildir"),
        ("{local}/{domain}", "ann/example.org"),
        ("{user}/{user}", "ann@example.org/ann@example.org"),
        ("%s-50%/{user}", "%s-50%/ann@example.org"),
    ],
)
def test_each_field_becomes_a_folder(layout: str, folder: str) -> None:
    assert MaildirLayout(layout).folder_of("ann@example.org") == folder


def test_a_name_is_divided_at_its_last_at_sign() -> None:
    assert MaildirLayout("{domain}/{local}").folder_of("ann@home@example.org") == "example.org/ann@home"


@pytest.mark.parametrize("username", ["{domain}@{local}", "{user}@example.org", "{0}@{", "%s@}"])
def test_a_name_that_looks_like_a_field_stays_as_it_is(username: str) -> None:
    local, _, domain = username.rpartition("@")
    assert MaildirLayout("{domain}/{local}").folder_of(username) == f"{domain}/{local}"
    assert MaildirLayout("{user}/Maildir").folder_of(username) == f"{username}/Maildir"


@pytest.mark.parametrize("layout", ["{domain}/{local}/Maildir", "{local}/{domain}", "{domain}/{user}"])
@pytest.mark.parametrize(
    "username",
    ["ann", "@", "@example.org", "ann@", "ann@home@", "ann@.", "ann@..", "..@..", ".@x", ".ann@x", "ann@.x"],
)
def test_a_name_without_both_parts_has_no_maildir_where_the_layout_asks_for_them(
    layout: str, username: str
) -> None:
    assert MaildirLayout(layout).folder_of(username) is None


@pytest.mark.parametrize("username", ["ann", "@example.org", "ann@", "ann@..", "ann@."])
def test_a_layout_of_whole_names_takes_any_name(username: str) -> None:
    assert MaildirLayout("{user}").folder_of(username) == username
    assert MaildirLayout("mail/{user}/Maildir").folder_of(username) == f"mail/{username}/Maildir"


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ("/{user}", "below the mail directory: no slash in front"),
        ("/", "no slash in front"),
        ("{user}/", "names separated by single slashes"),
        ("{user}//Maildir", "names separated by single slashes"),
        ("{user}/..", "none of them . or .."),
        ("../{user}", "none of them . or .."),
        ("{user}/./Maildir", "none of them . or .."),
        ("{name}", r"\{name\} is not a field: \{user\}, \{local\}, \{domain\} are"),
        ("{User}/Maildir", r"\{User\} is not a field"),
        ("{}/{user}", r"\{\} is not a field"),
        ("{user!r}", r"\{user!r\} is not a field"),
        ("{user.__class__}", r"\{user.__class__\} is not a field"),
        ("Maildir-{user}", "each folder must be one of"),
        ("{local}@{domain}", "each folder must be one of"),
        ("{user", "each folder must be one of"),
        ("user}", "each folder must be one of"),
        ("{user}/my mail", "printable ASCII without spaces"),
        ("{user}/pošta", "printable ASCII without spaces"),
        ("{user}\n", "printable ASCII without spaces"),
        ("{user}/a\0", "printable ASCII without spaces"),
        ("", "names separated by single slashes"),
        ("Maildir", r"must hold \{user\}, or \{local\} and \{domain\}: users would share a maildir"),
        ("{local}", "users would share a maildir"),
        ("{local}/Maildir", "users would share a maildir"),
        ("{domain}", "users would share a maildir"),
        ("{domain}/{domain}", "users would share a maildir"),
        ("{user}/" + "x" * LONGEST_LAYOUT_OCTETS, f"at most {LONGEST_LAYOUT_OCTETS} characters"),
    ],
)
def test_what_is_no_layout_is_refused_with_what_it_must_be(layout: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        MaildirLayout(layout)
