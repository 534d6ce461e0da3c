"""Whatever the layout and the names: no user's maildir is, holds, or lies in another's, or lies elsewhere."""

import os.path

from hypothesis import assume, example, given
from hypothesis import strategies as st

from pop3_service.maildir import MaildirUnreadable, maildir_of
from service_runtime.maildir_layout import FIELDS, MaildirLayout

ROOT = "/mail"

# Mostly what could go wrong: at signs, dots, and what looks like a field or a folder of a maildir.
_PIECES = st.sampled_from(
    ["@", ".", "..", "a", "b", "A", "{user}", "{local}", "{domain}", "Maildir", "new", "%s"]
)
USERNAMES = (
    st.lists(_PIECES, min_size=1, max_size=6).map("".join)
    | st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="/"),
        min_size=1,
        max_size=128,
    )
).filter(lambda name: not name.startswith(".") and len(name) <= 128)


def is_layout(text: str) -> bool:
    try:
        MaildirLayout(text)
    except ValueError:
        return False
    return True


_FOLDERS = st.sampled_from([*FIELDS, "Maildir", ".maildir", "new", "a", "b", "x@y"])
LAYOUTS = st.lists(_FOLDERS, min_size=1, max_size=5).map("/".join).filter(is_layout).map(MaildirLayout)


def located(username: str, layout: MaildirLayout) -> bytes | None:
    try:
        return maildir_of(ROOT, username, layout).whole
    except MaildirUnreadable:
        return None


@given(USERNAMES, USERNAMES, LAYOUTS)
@example("a@b@c", "a@b", MaildirLayout("{domain}/{local}"))
@example("a@b", "b@a", MaildirLayout("{local}/{domain}"))
@example("{domain}@a", "a@a", MaildirLayout("{domain}/{local}/Maildir"))
def test_no_two_names_share_a_maildir_and_none_lies_in_another(
    one: str, other: str, layout: MaildirLayout
) -> None:
    assume(one != other)
    first, second = located(one, layout), located(other, layout)
    if first is not None and second is not None:
        assert first != second
        assert not (first + b"/").startswith(second + b"/")
        assert not (second + b"/").startswith(first + b"/")


@given(USERNAMES, LAYOUTS)
@example("a@..", MaildirLayout("{domain}/{local}"))
@example("a@..", MaildirLayout("{user}"))
def test_every_maildir_lies_below_the_mail_directory_under_the_name_that_it_is_written_with(
    username: str, layout: MaildirLayout
) -> None:
    maildir = located(username, layout)
    if maildir is not None:
        assert os.path.normpath(maildir) == maildir
        assert maildir.startswith(ROOT.encode() + b"/")
        assert len(maildir) > len(ROOT) + 1


@given(st.text("{}userlocadmin/.@x ", max_size=24))
@example("{domain}/{user}")
def test_any_text_is_a_layout_with_a_maildir_for_names_with_a_domain_or_refused(text: str) -> None:
    if is_layout(text):
        assert located("x@y", MaildirLayout(text)) is not None
