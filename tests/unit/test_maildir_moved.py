"""Finding renamed messages again: rightly, and without a listing of the folders for each."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pop3_service.maildir import Maildirs, MessageFile, MessageGone, Removal, RemovalFailed, removal_from
from pop3_service.maildir.folder import Folder
from pop3_service.maildir.moved import MovedMessages
from pop3_service.protocol.maildrop import Message
from support.maildir_files import at

MESSAGES = 50


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for folder in ("new", "cur"):
        (tmp_path / folder).mkdir()
    for number in range(MESSAGES):
        (tmp_path / "new" / f"{number:03}.a").write_bytes(b"message %d\n" % number)
    return tmp_path


@pytest.fixture
def messages(maildir: Path) -> tuple[Message, ...]:
    return tuple(Maildirs().scan(at(maildir)).messages)


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """Give the folders that have been listed since, in order."""
    listed: list[bytes] = []
    real_names = Folder.names

    def counted(folder: Folder) -> list[bytes]:
        listed.append(folder.name)
        return real_names(folder)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "names", counted)
        yield listed


def move_all(maildir: Path) -> None:
    for file in list((maildir / "new").iterdir()):
        file.rename(maildir / "cur" / f"{file.name}:2,S")


def content(maildir: Path, message: Message, moved: MovedMessages) -> bytes:
    with MessageFile.open(at(maildir), message, moved) as file:
        return file.read(file.size)


def test_one_listing_serves_all_messages_that_have_moved(
    maildir: Path, messages: tuple[Message, ...], listings: list[bytes]
) -> None:
    move_all(maildir)
    moved = MovedMessages()
    for number, message in enumerate(messages):
        assert content(maildir, message, moved) == b"message %d\n" % number
    assert listings == [b"new", b"cur"]


def test_one_listing_serves_the_removal_of_all_messages_that_have_moved(
    maildir: Path, messages: tuple[Message, ...], listings: list[bytes]
) -> None:
    move_all(maildir)
    moved = MovedMessages()
    with removal_from(at(maildir), moved) as remove:
        for message in messages:
            assert remove(message) is Removal.REMOVED
    assert listings == [b"new", b"cur"]
    assert list((maildir / "cur").iterdir()) == []


def test_one_listing_serves_all_messages_that_have_vanished(
    maildir: Path, messages: tuple[Message, ...], listings: list[bytes]
) -> None:
    for file in (maildir / "new").iterdir():
        file.unlink()
    moved = MovedMessages()
    with removal_from(at(maildir), moved) as remove:
        for message in messages:
            assert remove(message) is Removal.ALREADY_GONE
            with pytest.raises(MessageGone):
                content(maildir, message, moved)
    assert listings == [b"new", b"cur"]


def test_a_message_that_has_moved_since_the_listing_is_found_by_a_new_one(
    maildir: Path, messages: tuple[Message, ...], listings: list[bytes]
) -> None:
    moved = MovedMessages()
    (maildir / "new" / "000.a").rename(maildir / "cur" / "000.a:2,")
    assert content(maildir, messages[0], moved) == b"message 0\n"
    move_all(maildir)
    assert content(maildir, messages[1], moved) == b"message 1\n"
    (maildir / "cur" / "001.a:2,S").rename(maildir / "cur" / "001.a:2,RS")
    assert content(maildir, messages[1], moved) == b"message 1\n"
    assert len(listings) == 6


def test_another_message_with_the_same_unique_part_is_never_taken_for_it(
    maildir: Path, messages: tuple[Message, ...]
) -> None:
    (maildir / "cur" / "000.a:2,S").write_bytes(b"another\n")  # before its inode can be used again
    (maildir / "new" / "000.a").unlink()
    moved = MovedMessages()
    with pytest.raises(MessageGone):
        content(maildir, messages[0], moved)
    with removal_from(at(maildir), moved) as remove, pytest.raises(RemovalFailed):
        remove(messages[0])
    assert (maildir / "cur" / "000.a:2,S").exists()


@pytest.mark.parametrize("times", [1, 100])
def test_a_maildir_that_changes_while_a_vanished_message_is_looked_for_is_looked_through_again(
    maildir: Path, messages: tuple[Message, ...], monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    (maildir / "new" / "000.a").unlink()
    real_status = Folder.status
    arrivals = iter(range(times))

    def mail_arrives(folder: Folder, name: bytes) -> os.stat_result:
        if name == b"049.a" and (arrived := next(arrivals, None)) is not None:
            (maildir / "new" / f"9{arrived}.z").touch()
            os.utime(maildir / "new", (arrived, arrived))
        return real_status(folder, name)

    with removal_from(at(maildir), MovedMessages()) as remove, monkeypatch.context() as patch:
        patch.setattr(Folder, "status", mail_arrives)
        if times == 1:
            assert remove(messages[0]) is Removal.ALREADY_GONE
        else:
            with pytest.raises(RemovalFailed, match="keep changing"):
                remove(messages[0])
