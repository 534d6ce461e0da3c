"""Removing one message: the listed file and no other, and "gone" is said only of what is gone."""

import os
from pathlib import Path

import pytest

from pop3_service.maildir import Maildirs, Removal, RemovalFailed, removal_from
from pop3_service.maildir.folder import Folder
from pop3_service.maildir.moved import MovedMessages
from pop3_service.protocol.maildrop import Message
from support.maildir_files import at, ordinary_user


def listed(maildir: Path, name: str = "1.a", folder: str = "new") -> tuple[Path, Message]:
    """Deliver a message and return its file with its place in the scan."""
    file = maildir / folder / name
    file.write_bytes(b"one\n")
    return file, only_message(maildir)


def only_message(maildir: Path) -> Message:
    (message,) = Maildirs().scan(at(maildir)).messages
    return message


def remove(maildir: Path, message: Message) -> Removal:
    with removal_from(at(maildir), MovedMessages()) as remove_message:
        return remove_message(message)


def test_a_removed_message_is_gone_and_its_neighbours_stay(maildir: Path) -> None:
    file, message = listed(maildir)
    (maildir / "new" / "2.b").write_bytes(b"two\n")
    assert remove(maildir, message) is Removal.REMOVED
    assert not file.exists()
    assert only_message(maildir).unique_id == b"2.b"


def test_a_message_that_moved_to_cur_is_removed_there(maildir: Path) -> None:
    file, message = listed(maildir)
    file = file.rename(maildir / "cur" / "1.a:2,S")
    assert remove(maildir, message) is Removal.REMOVED
    assert not file.exists()


def test_a_message_whose_flags_changed_is_removed(maildir: Path) -> None:
    file, message = listed(maildir, "1.a:2,", folder="cur")
    file = file.rename(maildir / "cur" / "1.a:2,FS")
    assert remove(maildir, message) is Removal.REMOVED
    assert not file.exists()


def test_a_message_that_vanished_is_already_gone(maildir: Path) -> None:
    file, message = listed(maildir)
    file.unlink()
    assert remove(maildir, message) is Removal.ALREADY_GONE


def test_a_message_is_removed_once(maildir: Path) -> None:
    _, message = listed(maildir)
    assert [remove(maildir, message), remove(maildir, message)] == [Removal.REMOVED, Removal.ALREADY_GONE]


def test_a_message_is_already_gone_with_its_maildir(maildir: Path) -> None:
    _, message = listed(maildir)
    maildir.rename(maildir.with_name("old"))
    assert remove(maildir, message) is Removal.ALREADY_GONE


def test_a_message_that_was_rewritten_in_place_is_removed(maildir: Path) -> None:
    file, message = listed(maildir)
    with file.open("ab") as opened:
        opened.write(b"more\n")
    assert remove(maildir, message) is Removal.REMOVED
    assert not file.exists()


@pytest.mark.parametrize("name", ["new/1.a", "cur/1.a:2,S"])
def test_a_message_that_was_replaced_stays_and_is_not_called_gone(maildir: Path, name: str) -> None:
    file, message = listed(maildir)
    file.rename(maildir / "kept")  # So that its inode is not used again.
    (maildir / name).write_bytes(b"one\n")
    with pytest.raises(RemovalFailed, match="another file"):
        remove(maildir, message)
    assert only_message(maildir).unique_id == message.unique_id


@pytest.mark.parametrize("name", ["new/1.b", "cur/1.a,S=4:2,S"])
def test_a_message_that_got_another_unique_part_stays_and_is_not_called_gone(
    maildir: Path, name: str
) -> None:
    file, message = listed(maildir)
    file.rename(maildir / name)
    with pytest.raises(RemovalFailed, match="another name"):
        remove(maildir, message)
    assert (maildir / name).exists()


def test_what_came_in_place_of_a_message_that_is_gone_does_not_make_it_listed_again(maildir: Path) -> None:
    file, message = listed(maildir)
    file.rename(maildir / "kept")
    (maildir / "cur" / "2.b:2,S").write_bytes(b"one\n")
    os.mkfifo(file)
    assert remove(maildir, message) is Removal.ALREADY_GONE


def test_a_message_that_vanished_is_gone_though_another_one_has_its_unique_part(maildir: Path) -> None:
    file, _ = listed(maildir)
    namesake = maildir / "cur" / "1.a:2,S"
    namesake.write_bytes(b"another\n")
    os.utime(namesake, (file.stat().st_mtime + 10,) * 2)
    messages = {each.octets: each for each in Maildirs().scan(at(maildir)).messages}
    assert messages[5].unique_id == b"1.a"
    file.rename(maildir / "kept")
    assert remove(maildir, messages[5]) is Removal.ALREADY_GONE
    assert only_message(maildir) == messages[9]


def test_both_names_of_one_file_go_so_that_it_cannot_come_back(maildir: Path) -> None:
    file, _ = listed(maildir)
    os.link(file, maildir / "cur" / "1.a:2,S")
    assert remove(maildir, only_message(maildir)) is Removal.REMOVED
    assert Maildirs().scan(at(maildir)).messages == ()


def test_a_name_of_the_same_file_outside_the_maildir_stays(maildir: Path) -> None:
    file, message = listed(maildir)
    os.link(file, maildir / "archived")
    assert remove(maildir, message) is Removal.REMOVED
    assert (maildir / "archived").read_bytes() == b"one\n"


def test_a_link_in_place_of_the_message_and_its_target_stay(maildir: Path) -> None:
    file, message = listed(maildir)
    file.rename(maildir / "kept")
    file.symlink_to(maildir / "kept")
    assert remove(maildir, message) is Removal.ALREADY_GONE
    assert file.is_symlink()
    assert (maildir / "kept").exists()


def test_a_folder_in_place_of_the_message_stays(maildir: Path) -> None:
    file, message = listed(maildir)
    file.rename(maildir / "kept")
    file.mkdir()
    assert remove(maildir, message) is Removal.ALREADY_GONE
    assert file.is_dir()


def test_a_folder_that_leads_elsewhere_is_not_entered(maildir: Path, tmp_path: Path) -> None:
    file, message = listed(maildir)
    (maildir / "new").rename(tmp_path / "elsewhere")
    (maildir / "new").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RemovalFailed):
        remove(maildir, message)
    assert file.exists()


def test_a_removal_that_the_system_refuses_fails_and_names_no_path() -> None:
    with ordinary_user() as maildir:
        file, message = listed(maildir)
        (maildir / "new").chmod(0o500)
        try:
            with pytest.raises(RemovalFailed) as caught:
                remove(maildir, message)
        finally:
            (maildir / "new").chmod(0o700)
        assert file.exists()
        assert str(maildir) not in str(caught.value)


def test_a_message_that_moves_between_the_look_and_the_removal_is_removed(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, message = listed(maildir)
    real_status = Folder.status

    def look_then_move(folder: Folder, name: bytes) -> os.stat_result:
        status = real_status(folder, name)
        if file.exists():
            file.rename(maildir / "cur" / "1.a:2,S")
        return status

    monkeypatch.setattr(Folder, "status", look_then_move)
    assert remove(maildir, message) is Removal.REMOVED
    assert not (maildir / "cur" / "1.a:2,S").exists()


def test_a_message_that_moves_during_the_search_is_searched_again(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, message = listed(maildir)
    file = file.rename(maildir / "cur" / "1.a:2,")
    real_names = Folder.names

    def list_then_move(folder: Folder) -> list[bytes]:
        found = real_names(folder)
        if folder.name == b"cur" and file.exists():
            file.rename(maildir / "cur" / "1.a:2,S")
        return found

    monkeypatch.setattr(Folder, "names", list_then_move)
    os.utime(maildir / "cur", (1000, 1000))
    assert remove(maildir, message) is Removal.REMOVED
    assert list((maildir / "cur").iterdir()) == []


def test_a_message_that_cannot_be_caught_is_not_reported_gone(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, message = listed(maildir)
    names = iter(range(1000))
    place = [file]
    real_names = Folder.names

    def list_then_move(folder: Folder) -> list[bytes]:
        found = real_names(folder)
        number = next(names)
        place[0] = place[0].rename(maildir / "cur" / f"1.a:2,{number}")
        os.utime(maildir / "cur", (number, number))  # However coarse this file system's clock is.
        return found

    place[0] = place[0].rename(maildir / "cur" / "1.a:2,")
    monkeypatch.setattr(Folder, "names", list_then_move)
    with pytest.raises(RemovalFailed):
        remove(maildir, message)
    assert place[0].exists()


def test_a_message_is_not_called_gone_when_the_mail_directory_is(maildir: Path) -> None:
    file, message = listed(maildir)
    lost, mounted = maildir.parent, maildir.parent.with_name("mounted elsewhere")
    lost.rename(mounted)
    with pytest.raises(RemovalFailed, match="the mail directory is not there"):
        remove(maildir, message)
    mounted.rename(lost)
    assert file.exists()


def test_a_message_in_a_folder_that_may_not_be_searched_is_not_called_gone() -> None:
    with ordinary_user() as maildir:
        file, message = listed(maildir, "1.a:2,", folder="cur")
        (maildir / "cur").chmod(0o600)
        with pytest.raises(RemovalFailed, match="cannot be removed: Permission denied"):
            remove(maildir, message)
        (maildir / "cur").chmod(0o700)
        assert file.exists()


def test_a_message_that_is_renamed_at_each_attempt_is_not_called_gone(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, message = listed(maildir)
    names = iter([f"1.a:2,{flags}" for flags in ("S", "FS", "FRS", "FRST", "DFRST")])

    def renamed_before(folder: Folder, name: bytes) -> None:
        next(maildir.glob("*/1.a*")).rename(maildir / "cur" / next(names))
        os.unlink(name, dir_fd=folder._descriptor)

    monkeypatch.setattr(Folder, "unlink", renamed_before)
    with pytest.raises(RemovalFailed, match="keep changing"):
        remove(maildir, message)
    assert only_message(maildir).unique_id == message.unique_id
