"""How the unique-ids of the old server get into a maildir: whole or not at all, and over nothing."""

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

import pop3_service.maildir.copied
from pop3_service.maildir import Maildirs
from pop3_service.maildir.copied import write_copied
from pop3_service.maildir.remembered import GRAIN_SECONDS
from support.maildir_files import NOBODY, at, ordinary_user

COPIED = {b"2.b": b"old-b", b"1.a": b""}
CONTENT = b"2.b\told-b\n1.a\t\n"


def noted(maildir: Path) -> Path:
    return maildir / "peep-unique-ids"


def names(maildir: Path) -> list[str]:
    return sorted(
        path.name for path in (maildir, maildir / "cur", maildir / "new") for path in path.iterdir()
    )


def test_a_copy_is_written_and_nothing_else_stays(maildir: Path) -> None:
    write_copied(at(maildir), COPIED)
    assert noted(maildir).read_bytes() == CONTENT
    assert names(maildir) == ["cur", "new", "peep-unique-ids"]


def test_a_maildir_without_cur_gets_its_copy_too(maildir: Path) -> None:
    (maildir / "cur").rmdir()
    write_copied(at(maildir), COPIED)
    assert noted(maildir).read_bytes() == CONTENT


def test_where_no_mail_can_be_nothing_is_written(maildir: Path) -> None:
    (maildir / "cur").rmdir()
    (maildir / "new").rmdir()
    with pytest.raises(FileNotFoundError):
        write_copied(at(maildir), COPIED)
    assert names_of(maildir) == []


def names_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_copy_that_is_there_stays_as_it_is(maildir: Path) -> None:
    noted(maildir).write_bytes(b"1.a\tolder\n")
    with pytest.raises(FileExistsError):
        write_copied(at(maildir), COPIED)
    assert noted(maildir).read_bytes() == b"1.a\tolder\n"
    assert names(maildir) == ["cur", "new", "peep-unique-ids"]


def test_of_many_writers_at_once_exactly_one_writes(maildir: Path) -> None:
    def write(number: int) -> bool:
        try:
            write_copied(at(maildir), {b"1.a": b"id-%d" % number})
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        written = [number for number, is_written in enumerate(threads.map(write, range(40))) if is_written]
    (number,) = written
    assert noted(maildir).read_bytes() == b"1.a\tid-%d\n" % number
    assert names(maildir) == ["cur", "new", "peep-unique-ids"]


def test_a_copy_in_place_of_another_keeps_what_peep_noted_itself(maildir: Path) -> None:
    own = b":0123456789012345678901234567890123456789"
    noted(maildir).write_bytes(b"1.a\tolder\n" + own + b"\n")
    write_copied(at(maildir), COPIED, replace=True)
    assert noted(maildir).read_bytes() == CONTENT + own + b"\n"


def test_a_link_in_its_place_is_replaced_and_never_followed(maildir: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious\n")
    noted(maildir).symlink_to(target)
    with pytest.raises(FileExistsError):
        write_copied(at(maildir), COPIED)
    write_copied(at(maildir), COPIED, replace=True)
    assert target.read_bytes() == b"precious\n"
    assert not noted(maildir).is_symlink()
    assert noted(maildir).read_bytes() == CONTENT


def test_a_link_in_place_of_the_folder_is_not_followed(maildir: Path, tmp_path: Path) -> None:
    (tmp_path / "other" / "cur").mkdir(parents=True)
    (maildir / "cur").rmdir()
    (maildir / "cur").symlink_to(tmp_path / "other" / "cur")
    with pytest.raises(OSError, match=os.strerror(errno.ENOTDIR)):
        write_copied(at(maildir), COPIED)
    assert list((tmp_path / "other").rglob("*unique*")) == []


@pytest.mark.parametrize(
    ("mode", "expected"), [(0o700, 0o600), (0o2770, 0o660), (0o755, 0o644), (0o570, 0o660)]
)
def test_who_may_read_the_mail_may_read_the_copy(maildir: Path, mode: int, expected: int) -> None:
    (maildir / "cur").chmod(mode)
    write_copied(at(maildir), COPIED)
    assert stat.S_IMODE(noted(maildir).stat().st_mode) == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_copy_that_root_writes_belongs_to_the_owner_of_the_mail(maildir: Path) -> None:
    os.chown(maildir / "cur", NOBODY, NOBODY)
    write_copied(at(maildir), COPIED)
    status = noted(maildir).stat()
    assert (status.st_uid, status.st_gid) == (NOBODY, NOBODY)


def test_without_the_right_to_write_nothing_is_written() -> None:
    with ordinary_user() as maildir:
        maildir.chmod(0o500)
        with pytest.raises(PermissionError):
            write_copied(at(maildir), COPIED)
        assert names(maildir) == ["cur", "new"]


def test_a_full_disk_leaves_nothing_behind(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_copied(at(maildir), COPIED)
    assert names(maildir) == ["cur", "new"]


def test_what_a_killed_import_left_is_removed_by_a_later_one(maildir: Path) -> None:
    stale, fresh = (maildir / "cur" / f".peep-unique-ids.{number:016x}" for number in range(2))
    stale.write_bytes(b"")
    fresh.write_bytes(b"of an import that runs now")
    (maildir / "cur" / "1.a:2,S").write_bytes(b"mail\n")
    os.utime(stale, (1, 1))
    write_copied(at(maildir), COPIED)
    assert names(maildir) == [fresh.name, "1.a:2,S", "cur", "new", "peep-unique-ids"]


def test_more_lines_than_are_read_are_not_written(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pop3_service.maildir.copied, "MOST_LINES", 1)
    with pytest.raises(ValueError, match="more than 1"):
        write_copied(at(maildir), COPIED)
    assert names(maildir) == ["cur", "new"]


@pytest.mark.parametrize("replace", [False, True])
def test_running_services_see_a_new_copy(maildir: Path, *, replace: bool) -> None:
    (maildir / "new" / "1.a").write_bytes(b"a\n")
    os.utime(maildir / "cur", (1, 1))  # as it is when no message has come for a while
    if replace:
        noted(maildir).write_bytes(b"1.a\tolder\n")
    seconds = [100.0]
    maildirs = Maildirs(lambda: seconds[0])
    maildirs.scan(at(maildir))
    seconds[0] += GRAIN_SECONDS
    before = maildirs.scan(at(maildir))
    assert maildirs.remembered(at(maildir)) is before
    write_copied(at(maildir), {b"1.a": b"old"}, replace=replace)
    assert maildirs.remembered(at(maildir)) is None
    assert [message.unique_id for message in maildirs.scan(at(maildir)).messages] == [b"old"]
