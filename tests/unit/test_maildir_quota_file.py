"""`maildirsize`, the count that programs keep of a maildir: true after a removal, and else left alone."""

import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pop3_service.maildir import Maildirs, MovedMessages, QuotaTally, removal_from
from pop3_service.maildir.folder import Folder
from pop3_service.maildir.quota_file import LARGEST_OCTETS, OLDEST_SECONDS
from pop3_service.removal import Removed, remove_marked
from support.maildir_files import at, ordinary_user

COUNT = b"1000000S,5C\n4 1\n3 1\n"


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for folder in ("new", "cur"):
        (tmp_path / folder).mkdir()
    (tmp_path / "new" / "1.a").write_bytes(b"one\n")
    (tmp_path / "cur" / "2.b:2,S").write_bytes(b"2\n\n")
    return tmp_path


@pytest.fixture
def count(maildir: Path) -> Path:
    file = maildir / "maildirsize"
    file.write_bytes(COUNT)
    return file


def remove_all(maildir: Path, meanwhile: Callable[[], object] = lambda: None) -> Removed:
    """Remove every message; do something else after the first."""
    looks = iter([lambda: None, meanwhile])

    def holds_lease() -> bool:
        next(looks, lambda: None)()
        return True

    messages = tuple(Maildirs().scan(at(maildir)).messages)
    return remove_marked(at(maildir), messages, holds_lease)


def test_one_line_takes_off_what_a_session_has_removed(maildir: Path, count: Path) -> None:
    before = count.stat()
    assert remove_all(maildir) == Removed(removed=2)
    assert count.read_bytes() == COUNT + b"-7 -2\n"
    assert (count.stat().st_ino, count.stat().st_mode) == (before.st_ino, before.st_mode)


@pytest.mark.usefixtures("count")
def test_a_file_server_that_refuses_the_line_when_it_is_closed_hides_no_removal(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open, real_close, counts = Folder.open_beside, os.close, set[int]()

    def opened(folder: Folder, name: bytes, flags: int, mode: int = 0) -> int:
        descriptor = real_open(folder, name, flags, mode)
        counts.add(descriptor)
        return descriptor

    def close(descriptor: int) -> None:
        real_close(descriptor)
        if descriptor in counts:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(Folder, "open_beside", opened)
    monkeypatch.setattr(os, "close", close)
    assert remove_all(maildir) == Removed(removed=2, quota_fault="Disk quota exceeded")


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("1.a,S=700", 700),
        ("1.a,S=700,W=710", 700),
        ("1.a,W=710,S=700:2,S", 700),
        ("1.a,S=", 4),
        ("1.a,S=7x", 4),
        ("1.a,W=710", 4),
    ],
)
def test_what_a_name_says_of_its_size_is_what_was_counted(maildir: Path, name: str, octets: int) -> None:
    (maildir / "new" / "1.a").rename(maildir / "cur" / name)
    (maildir / "cur" / "2.b:2,S").unlink()
    (message,) = Maildirs().scan(at(maildir)).messages
    tally = QuotaTally()
    with removal_from(at(maildir), MovedMessages(), tally) as remove:
        remove(message)
    assert tally == QuotaTally(messages=1, octets=octets)


def test_a_maildir_without_a_count_gets_none(maildir: Path) -> None:
    assert remove_all(maildir) == Removed(removed=2)
    assert not (maildir / "maildirsize").exists()


def test_what_others_removed_is_theirs_to_count(maildir: Path, count: Path) -> None:
    assert remove_all(maildir, (maildir / "cur" / "2.b:2,S").unlink) == Removed(removed=1)
    assert count.read_bytes() == COUNT + b"-4 -1\n"


def test_a_removal_of_nothing_changes_nothing(maildir: Path, count: Path) -> None:
    os.utime(count, (0, 0))
    with removal_from(at(maildir), MovedMessages()):
        pass
    assert count.read_bytes() == COUNT


def test_what_was_removed_before_a_fault_is_counted(maildir: Path, count: Path) -> None:
    def fails() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        remove_all(maildir, fails)
    assert count.read_bytes() == COUNT + b"-4 -1\n"


# Where it is not to be believed it goes, and the next delivery counts anew.


def test_a_count_that_would_become_too_long_is_removed(maildir: Path, count: Path) -> None:
    count.write_bytes(COUNT + b"0 0\n" * ((LARGEST_OCTETS - len(COUNT)) // 4))
    assert remove_all(maildir) == Removed(removed=2)
    assert not count.exists()


def test_a_count_that_is_too_old_is_removed(maildir: Path, count: Path) -> None:
    os.utime(count, (time.time() - OLDEST_SECONDS - 1,) * 2)
    assert remove_all(maildir) == Removed(removed=2)
    assert not count.exists()


def test_a_count_from_before_its_time_is_up_stays(maildir: Path, count: Path) -> None:
    os.utime(count, (time.time() - OLDEST_SECONDS / 2,) * 2)
    assert remove_all(maildir) == Removed(removed=2)
    assert count.read_bytes() == COUNT + b"-7 -2\n"


def test_a_count_that_was_made_anew_meanwhile_is_removed(maildir: Path, count: Path) -> None:
    fresh = maildir / "fresh"
    fresh.write_bytes(b"1000000S,5C\n3 1\n")
    assert remove_all(maildir, lambda: fresh.rename(count)) == Removed(removed=2)
    assert not count.exists()


def test_a_count_that_was_removed_meanwhile_does_not_come_back(maildir: Path, count: Path) -> None:
    assert remove_all(maildir, count.unlink) == Removed(removed=2)
    assert not count.exists()


def test_a_count_that_cannot_take_a_line_is_removed(
    maildir: Path, count: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(descriptor: int, octets: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", no_space)
        assert remove_all(maildir) == Removed(removed=2)
    assert not count.exists()


# What is there in its place


def test_a_link_in_its_place_and_its_target_stay_as_they_are(maildir: Path, count: Path) -> None:
    target = count.rename(maildir / "elsewhere")
    count.symlink_to(target)
    assert remove_all(maildir) == Removed(removed=2)
    assert count.is_symlink()
    assert target.read_bytes() == COUNT


def test_a_file_with_another_name_stays_as_it_is(maildir: Path, count: Path) -> None:
    os.link(count, maildir / "somebody's")
    assert remove_all(maildir) == Removed(removed=2)
    assert count.read_bytes() == COUNT


def test_a_pipe_in_its_place_is_not_waited_for(maildir: Path) -> None:
    os.mkfifo(maildir / "maildirsize")
    assert remove_all(maildir) == Removed(removed=2)
    assert stat.S_ISFIFO((maildir / "maildirsize").stat().st_mode)


def test_a_folder_in_its_place_is_no_fault(maildir: Path) -> None:
    (maildir / "maildirsize").mkdir()
    assert remove_all(maildir) == Removed(removed=2)


def test_a_count_that_may_not_be_written_is_a_fault_of_which_mail_knows_nothing() -> None:
    with ordinary_user() as maildir:
        (maildir / "new" / "1.a").write_bytes(b"one\n")
        (maildir / "maildirsize").write_bytes(COUNT)
        (maildir / "maildirsize").chmod(0o400)
        assert remove_all(maildir) == Removed(removed=1, quota_fault=os.strerror(errno.EACCES))
        assert (maildir / "maildirsize").read_bytes() == COUNT


def test_a_count_that_cannot_be_opened_is_reported_and_holds_up_no_removal() -> None:
    with ordinary_user() as maildir:
        (maildir / "new" / "1.a").write_bytes(b"one\n")
        (maildir / "maildirsize").write_bytes(COUNT)
        (maildir / "maildirsize").chmod(0)
        assert remove_all(maildir) == Removed(removed=1, quota_fault="Permission denied")
        assert not (maildir / "new" / "1.a").exists()


def test_an_old_count_that_cannot_be_taken_away_is_reported_and_holds_up_no_removal() -> None:
    with ordinary_user() as maildir:
        (maildir / "new" / "1.a").write_bytes(b"one\n")
        (maildir / "maildirsize").write_bytes(COUNT)
        os.utime(maildir / "maildirsize", (0, 0))
        maildir.chmod(0o500)
        assert remove_all(maildir) == Removed(removed=1, quota_fault="Permission denied")
        maildir.chmod(0o700)
        assert not (maildir / "new" / "1.a").exists()
