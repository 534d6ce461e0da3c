"""A maildir with the unique-ids of the server that was there before Peep (D80)."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import pop3_service.maildir.noted
from pop3_service.maildir import (
    Maildirs,
    MaildirUnreadable,
    MovedMessages,
    Removal,
    RemovalFailed,
    removal_from,
)
from pop3_service.maildir.noted import LONGEST_LINE_OCTETS
from pop3_service.maildir.remembered import GRAIN_SECONDS
from pop3_service.protocol.maildrop import MaildropContents
from support.maildir_files import at, ordinary_user, scan, unique_ids


def deliver(maildir: Path, *names: str, folder: str = "new") -> Path:
    for number, name in enumerate(names):
        (maildir / folder / name).write_bytes(b"a" * number + b"\n")
    return maildir / folder / names[0]


def note(maildir: Path, *lines: bytes) -> Path:
    file = maildir / "peep-unique-ids"
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    return file


def damage(maildir: Path) -> str:
    maildirs = Maildirs()
    maildirs.scan(at(maildir))
    return maildirs.unique_id_damage(at(maildir))


def is_digest(unique_id: bytes) -> bool:
    return len(unique_id) == 41 and unique_id.startswith(b":")


# What holds


def test_copied_messages_come_first_in_the_old_order_with_the_old_ids_and_others_follow(
    maildir: Path,
) -> None:
    deliver(maildir, "1.a", "2.b", "3.c", "4.d")
    note(maildir, b"3.c\tthird", b"9.removed\tgone", b"2.b\tUID7-9")
    contents = scan(maildir)
    assert unique_ids(contents) == [b"third", b"UID7-9", b"1.a", b"4.d"]
    assert [message.octets for message in contents.messages] == [4, 3, 2, 5]
    assert contents.unique_id_listing.splitlines()[1:3] == [b"1 third", b"2 UID7-9"]


def test_a_message_keeps_its_copied_id_over_flags_folders_and_processes(maildir: Path) -> None:
    file = deliver(maildir, "1.a")
    note(maildir, b"1.a\told")
    for name in ("cur/1.a:2,", "cur/1.a:2,FS", "cur/1.a;2,S", "new/1.a"):
        file = file.rename(maildir / name)
        assert unique_ids(scan(maildir)) == [b"old"]


def test_a_message_without_a_usable_old_id_has_ours_in_its_old_place(maildir: Path) -> None:
    deliver(maildir, "1.a", "2.b", "3.c")
    note(maildir, b"3.c\t", b"1.a\told")
    assert unique_ids(scan(maildir)) == [b"3.c", b"old", b"2.b"]
    assert damage(maildir) == ""


def test_an_old_id_that_ours_would_give_to_another_message_belongs_to_the_old_one_for_good(
    maildir: Path,
) -> None:
    old = deliver(maildir, "1.a", "2.b")
    note(maildir, b"1.a\t2.b")
    first, second = unique_ids(scan(maildir))
    assert first == b"2.b"
    assert is_digest(second)
    old.unlink()
    assert unique_ids(scan(maildir)) == [second]


def test_namesakes_of_a_copied_message_have_ids_of_their_own(maildir: Path) -> None:
    first, second = (
        deliver(maildir, "1.a"),
        deliver(maildir, "x", "1.a:2,S", folder="cur").with_name("1.a:2,S"),
    )
    (maildir / "cur" / "x").unlink()
    os.utime(first, (1, 1))
    note(maildir, b"1.a\told")
    ids = {message.octets: message.unique_id for message in scan(maildir).messages}
    assert ids[2] == b"old"
    assert is_digest(ids[3])
    first.unlink()
    assert unique_ids(scan(maildir)) == [ids[3]]
    assert second.exists()


def test_a_restored_older_file_does_not_take_the_copied_id(maildir: Path) -> None:
    maildirs = Maildirs()
    deliver(maildir, "1.a", folder="cur")
    note(maildir, b"1.a\told")
    assert unique_ids(maildirs.scan(at(maildir))) == [b"old"]
    restored = maildir / "new" / "1.a"
    restored.write_bytes(b"restored\n")
    os.utime(restored, (1, 1))
    ids = {message.octets: message.unique_id for message in maildirs.scan(at(maildir)).messages}
    assert ids[2] == b"old"


def test_a_replaced_message_is_not_reported_as_removed_under_its_copied_id(maildir: Path) -> None:
    file = deliver(maildir, "1.a")
    note(maildir, b"1.a\told")
    (message,) = scan(maildir).messages
    replacement = maildir / "replacement"
    replacement.write_bytes(b"another one\n")
    replacement.rename(file)
    with removal_from(at(maildir), MovedMessages()) as remove:
        with pytest.raises(RemovalFailed):
            remove(message)
        file.unlink()
    with removal_from(at(maildir), MovedMessages()) as remove:
        assert remove(message) is Removal.ALREADY_GONE


# When it is read


def trusted(maildir: Path) -> tuple[Maildirs, MaildropContents]:
    """Return maildirs that remember a listing and trust it."""
    seconds = [100.0]
    maildirs = Maildirs(lambda: seconds[0])
    maildirs.scan(at(maildir))
    seconds[0] += GRAIN_SECONDS
    return maildirs, maildirs.scan(at(maildir))


def remembered(maildirs: Maildirs, maildir: Path) -> MaildropContents | None:
    opened = at(maildir)
    try:
        return maildirs.remembered(opened)
    finally:
        opened.close()


def test_a_listing_with_copied_ids_is_remembered_until_their_file_changes(maildir: Path) -> None:
    deliver(maildir, "1.a")
    file = note(maildir, b"1.a\told")
    maildirs, contents = trusted(maildir)
    assert remembered(maildirs, maildir) is contents
    note(maildir, b"1.a\tanother")
    assert remembered(maildirs, maildir) is None
    assert unique_ids(maildirs.scan(at(maildir))) == [b"another"]
    maildirs, _ = trusted(maildir)
    file.unlink()
    assert remembered(maildirs, maildir) is None
    assert unique_ids(maildirs.scan(at(maildir))) == [b"1.a"]


def test_a_listing_with_a_damaged_file_is_not_used_without_telling(maildir: Path) -> None:
    deliver(maildir, "1.a")
    note(maildir, b"1.a\told", b"garbage")
    maildirs, contents = trusted(maildir)
    assert remembered(maildirs, maildir) is None
    assert maildirs.scan(at(maildir)) is contents
    assert maildirs.unique_id_damage(at(maildir)) == "line 2 cannot be used"


def test_of_a_maildir_that_was_never_scanned_no_damage_is_known(maildir: Path) -> None:
    assert Maildirs().unique_id_damage(at(maildir)) == ""


# Damage: what is readable holds


@pytest.mark.parametrize(
    "line",
    [
        b"1.a",
        b"a/1.a\tx",
        b"a\0\tx",
        b"1.a:2,S\tx",
        b"\tx",
        b"9.z\tsp ace",
        b"9.z\tx\ty",
        b"9.z\t" + b"x" * 71,
        b"n" * 256 + b"\tx",
        b"9.z\tx\r",
        "9.z\tä".encode(),
        b"9.z\tkept",  # the id of another line
        b"2.b\tother",  # the name of another line
        b"9.z\t:0123456789012345678901234567890123456789",  # in the form of ours
        b"x" * (LONGEST_LINE_OCTETS - 1),
        b"x" * LONGEST_LINE_OCTETS,
        b"x" * 10_000_000,
    ],
    ids=lambda line: repr(line[:20]),
)
def test_a_line_that_cannot_be_used_costs_no_other_line_anything(line: bytes, maildir: Path) -> None:
    deliver(maildir, "1.a", "2.b", "3.c")
    note(maildir, b"2.b\tkept", line, b"1.a\tkept too")
    note(maildir, b"2.b\tkept", line, b"1.a\tkept-too")
    assert unique_ids(scan(maildir)) == [b"kept", b"kept-too", b"3.c"]
    assert damage(maildir) == "line 2 cannot be used"


def test_of_two_lines_with_one_id_the_first_has_it_and_both_keep_their_place(maildir: Path) -> None:
    deliver(maildir, "1.a", "2.b", "3.c")
    note(maildir, b"3.c\told", b"2.b\told", b"2.b\tlate")
    assert unique_ids(scan(maildir)) == [b"old", b"2.b", b"1.a"]
    assert damage(maildir) == "line 2 and 1 more cannot be used"


def test_a_file_that_is_cut_off_is_read_up_to_there_and_can_be_appended_to(maildir: Path) -> None:
    first = deliver(maildir, "1.a:2,", folder="cur")
    deliver(maildir, "1.a", "2.b")
    os.utime(first, (1, 1))
    (maildir / "peep-unique-ids").write_bytes(b"1.a\told\n2.b\tcut o")
    before = unique_ids(scan(maildir))
    assert before[0] == b"old"
    assert is_digest(before[1])
    assert before[2] == b"2.b"
    first.unlink()
    assert unique_ids(scan(maildir)) == before[1:]


def a_folder(file: Path) -> None:
    file.mkdir()


def a_link(file: Path) -> None:
    target = file.with_name("target")
    target.write_bytes(b"1.a\told\n")
    file.symlink_to(target)


@pytest.mark.parametrize("put", [a_folder, a_link, os.mkfifo])
def test_what_is_no_regular_file_is_not_opened_and_hides_no_mail(
    put: Callable[[Path], None], maildir: Path
) -> None:
    deliver(maildir, "1.a")
    put(maildir / "peep-unique-ids")
    assert unique_ids(scan(maildir)) == [b"1.a"]
    assert damage(maildir) == "it is no regular file"


def test_a_file_that_a_backup_has_linked_elsewhere_is_read(maildir: Path) -> None:
    deliver(maildir, "1.a")
    (maildir / "snapshot").hardlink_to(note(maildir, b"1.a\told"))
    assert unique_ids(scan(maildir)) == [b"old"]


def test_a_file_that_cannot_be_read_fails_the_login_and_changes_no_id() -> None:
    with ordinary_user() as folder:
        deliver(folder, "1.a")
        note(folder, b"1.a\told").chmod(0)
        with pytest.raises(MaildirUnreadable):
            scan(folder)


@pytest.mark.parametrize(("limit", "value"), [("MOST_LINES", 2), ("LARGEST_OCTETS", 7)])
def test_of_a_file_that_is_too_large_the_beginning_is_read(
    limit: str, value: int, maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pop3_service.maildir.noted, limit, value)
    deliver(maildir, "1.a", "2.b", "3.c")
    note(maildir, b"3.c\tc", b"2.b\tb", b"1.a\ta")
    assert unique_ids(scan(maildir)) == [b"c", b"b", b"1.a"]
    assert "the rest is not read" in damage(maildir)


def test_one_endless_line_is_read_no_further_than_the_limit(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pop3_service.maildir.noted, "LARGEST_OCTETS", 4 * LONGEST_LINE_OCTETS)
    deliver(maildir, "1.a")
    with note(maildir, b"1.a\told").open("r+b") as file:
        file.truncate(1 << 40)
    assert unique_ids(scan(maildir)) == [b"old"]
