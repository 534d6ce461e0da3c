"""Whose links lead to a maildir, what it is locked under, and what is held open of it."""

import ctypes
import errno
import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pop3_service.maildir import Maildir, MaildirPath, MaildirUnreadable, beneath
from pop3_service.maildir.maildir import HeldOpen
from support.maildir_files import NOBODY, at

on_linux = pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="operators' links are followed on Linux only")
ways = pytest.mark.usefixtures("way")


@pytest.fixture(params=["openat2", "by components"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Walk with the system's one call for it, or component by component."""
    if request.param == "openat2" and not beneath.has_openat2():
        pytest.skip("this system has no openat2")
    if request.param != "openat2":
        monkeypatch.setattr(beneath, "has_openat2", lambda: False)
    return str(request.param)


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    """Give a mail directory with the maildirs of alice and bob."""
    for name in ("alice", "bob", "deep/er/carol"):
        (tmp_path / "mail" / name / "new").mkdir(parents=True)
    return tmp_path / "mail"


def located(mail: Path, folder: str, *roots: Path) -> Maildir:
    return Maildir(
        MaildirPath(os.fsencode(mail), folder.encode()), HeldOpen(), [os.fsencode(root) for root in roots]
    )


def inode(path: Path) -> int:
    return path.stat().st_ino


def refused(maildir: Maildir) -> bool:
    try:
        maildir.open()
    except OSError as error:
        return error.errno in {errno.ELOOP, errno.ENOTDIR}
    return False


@ways
@pytest.mark.parametrize("name", ["alice", "deep/er/carol"])
def test_a_maildir_is_found(mail: Path, name: str) -> None:
    maildir = located(mail, name)
    maildir.open()
    assert maildir.identity == (mail.stat().st_dev, inode(mail / name))


@ways
def test_the_mail_directory_may_be_a_link(mail: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(mail)
    maildir = located(tmp_path / "link", "alice")
    maildir.open()
    assert maildir.identity == (mail.stat().st_dev, inode(mail / "alice"))


@ways
@pytest.mark.parametrize("place", ["deep", "deep/er", "deep/er/carol"])
def test_no_component_below_it_may_be_a_link(mail: Path, place: str) -> None:
    (mail / place).rename(mail / "kept")
    (mail / place).symlink_to(mail / "kept")
    assert refused(located(mail, "deep/er/carol"))


@ways
def test_a_missing_maildir_is_missing(mail: Path) -> None:
    with pytest.raises(FileNotFoundError):
        located(mail, "nobody").open()


@ways
def test_a_missing_mail_directory_is_no_missing_maildir(mail: Path) -> None:
    with pytest.raises(MaildirUnreadable, match="the mail directory is not there"):
        located(mail / "lost", "alice").open()


@ways
def test_no_descriptor_is_left_open(mail: Path) -> None:
    (mail / "link").symlink_to("alice")
    before = os.dup(0)
    os.close(before)
    for name in ("alice", "deep/er/carol", "link", "nobody", "deep/nobody/x"):
        with suppress(OSError):
            located(mail, name).open()
        with suppress(OSError):
            located(mail, name, mail).open()
    after = os.dup(0)
    os.close(after)
    assert after == before


# Links of the operator's


@on_linux
@pytest.mark.parametrize("target", ["{tmp}/disk/alice", "../disk/alice", "{tmp}/disk/../disk/alice"])
@pytest.mark.parametrize("root", ["disk", "disk/alice", "."])
def test_a_link_to_below_a_root_is_followed(mail: Path, tmp_path: Path, target: str, root: str) -> None:
    (tmp_path / "disk").mkdir()
    (mail / "alice").rename(tmp_path / "disk" / "alice")
    (mail / "alice").symlink_to(target.format(tmp=tmp_path))
    maildir = located(mail, "alice", tmp_path / "nowhere", tmp_path / root)
    maildir.open()
    assert maildir.identity == (mail.stat().st_dev, inode(tmp_path / "disk" / "alice"))


@on_linux
def test_a_link_above_the_maildir_is_followed(mail: Path, tmp_path: Path) -> None:
    (mail / "deep").rename(tmp_path / "disk")
    (mail / "deep").symlink_to(tmp_path / "disk")
    maildir = located(mail, "deep/er/carol", tmp_path)
    maildir.open()
    assert maildir.identity == (mail.stat().st_dev, inode(tmp_path / "disk" / "er" / "carol"))


@on_linux
def test_a_root_may_be_a_link(mail: Path, tmp_path: Path) -> None:
    (mail / "alice").rename(tmp_path / "disk")
    (tmp_path / "root").symlink_to(tmp_path)
    (mail / "alice").symlink_to(tmp_path / "root" / "disk")
    maildir = located(mail, "alice", tmp_path / "root")
    maildir.open()
    assert maildir.identity == (mail.stat().st_dev, inode(tmp_path / "disk"))


@on_linux
@pytest.mark.parametrize("target", ["{tmp}/disk-two/alice", "{tmp}/disk/../disk-two/alice", "/etc", "/"])
def test_a_link_to_elsewhere_is_refused(mail: Path, tmp_path: Path, target: str) -> None:
    for disk in ("disk", "disk-two"):
        (tmp_path / disk / "alice").mkdir(parents=True)
    (mail / "dave").symlink_to(target.format(tmp=tmp_path))
    assert refused(located(mail, "dave", tmp_path / "disk"))


@on_linux
def test_a_link_that_leads_out_again_is_refused(mail: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "dave").symlink_to(mail / "alice")
    (mail / "dave").symlink_to(tmp_path / "disk" / "dave")
    assert refused(located(mail, "dave", tmp_path / "disk"))


@on_linux
def test_links_in_a_circle_are_refused(mail: Path, tmp_path: Path) -> None:
    (mail / "dave").symlink_to("erin")
    (mail / "erin").symlink_to("dave")
    assert refused(located(mail, "dave", tmp_path))


@on_linux
def test_a_link_of_somebody_elses_is_refused(
    mail: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mail / "dave").symlink_to(mail / "alice")
    if os.geteuid() == 0:
        os.lchown(mail / "dave", NOBODY, NOBODY)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    assert refused(located(mail, "dave", tmp_path))


@on_linux
def test_all_names_of_a_maildir_are_locked_alike(mail: Path, tmp_path: Path) -> None:
    (mail / "dave").symlink_to(mail / "alice")
    maildirs = [located(mail, name, tmp_path) for name in ("alice", "dave", "bob")]
    for maildir in maildirs:
        maildir.open()
    alice, dave, bob = (maildir.lock_name for maildir in maildirs)
    assert alice == dave
    assert alice != bob


# What is held open


def test_what_is_open_stays_the_same_maildir_whatever_its_path_leads_to(mail: Path) -> None:
    maildir = at(mail / "alice")
    directory = maildir.open()
    (mail / "alice").rename(mail / "old")
    (mail / "bob").rename(mail / "alice")
    assert maildir.open() is directory
    assert inode(mail / "old") == os.fstat(directory.number).st_ino


def test_another_maildir_under_the_name_of_one_that_was_let_go_is_not_opened(mail: Path) -> None:
    maildir = at(mail / "alice")
    maildir.open()
    maildir.let_go()
    (mail / "alice").rename(mail / "old")
    (mail / "bob").rename(mail / "alice")
    with pytest.raises(OSError, match="another maildir is in its place") as caught:
        maildir.open()
    assert caught.value.errno == errno.ESTALE
    (mail / "alice").rename(mail / "bob")
    (mail / "old").rename(mail / "alice")
    assert os.fstat(maildir.open().number).st_ino == inode(mail / "alice")


def test_only_so_many_maildirs_are_held_open_and_the_others_are_found_again(mail: Path) -> None:
    held_open = HeldOpen(limit=1)
    alice, bob = (Maildir(MaildirPath(os.fsencode(mail), name), held_open) for name in (b"alice", b"bob"))
    alice.open()
    bob.open()
    assert [alice.held is None, bob.held is None] == [True, False]
    alice.open()
    assert [alice.held is None, bob.held is None] == [False, True]


def test_a_folder_that_is_let_go_stays_open_for_who_works_in_it(mail: Path) -> None:
    maildir = at(mail / "alice")
    directory = maildir.open()
    maildir.close()
    os.stat("new", dir_fd=directory.number)
    descriptor = directory.number
    del directory
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_maildir_that_is_opened_after_its_session_is_not_held_open(mail: Path) -> None:
    maildir = at(mail / "alice")
    maildir.close()
    assert os.fstat(maildir.open().number).st_ino == inode(mail / "alice")
    assert maildir.held is None


def test_another_maildir_in_the_place_of_a_remembered_one_is_not_opened_without_the_disk(mail: Path) -> None:
    bob, newcomer = at(mail / "bob"), at(mail / "alice")
    bob.open()
    assert bob.identity is not None
    assert not newcomer.open_if_cached(bob.identity, bob.lock_name)
    assert newcomer.held is None
    assert newcomer.identity is None


def test_of_a_maildir_that_was_let_go_nothing_is_known_to_be_in_memory(mail: Path) -> None:
    maildir = at(mail / "alice")
    maildir.open()
    maildir.let_go()
    assert maildir.status_if_cached(b"new") is None


# Maildirs on another file system than the mail directory


@on_linux
def test_the_lock_name_on_another_file_system_has_the_root_and_no_device_number(mail: Path) -> None:
    with TemporaryDirectory(dir="/dev/shm") as elsewhere:
        (mail / "erin").symlink_to(elsewhere)
        missing, root = Path("/nowhere"), Path("/dev/shm")
        maildir = located(mail, "erin", missing, root)
        maildir.open()
        assert maildir.lock_name == f"/dev/shm:{inode(Path(elsewhere))}"


@on_linux
def test_the_lock_name_on_a_file_system_of_no_root_has_the_device_number(mail: Path) -> None:
    with TemporaryDirectory(dir="/dev/shm") as elsewhere:
        (mail / "erin").symlink_to(elsewhere)
        maildir = located(mail, "erin", Path("/dev"))
        maildir.open()
        assert maildir.lock_name == f"{os.stat(elsewhere).st_dev}:{inode(Path(elsewhere))}"


# What the system refuses


class Library:
    """The system's calls: each fails once with EINTR, and `fstatfs` always where that is wanted."""

    def __init__(self, *, knows_file_systems: bool = True) -> None:
        self._real = beneath._library()
        self._interruptions = [errno.EINTR]
        self._knows_file_systems = knows_file_systems

    def syscall(self, *arguments: object) -> int:
        if self._interruptions:
            ctypes.set_errno(self._interruptions.pop())
            return -1
        return int(self._real.syscall(*arguments))

    def fstatfs(self, *arguments: object) -> int:
        return int(self._real.fstatfs(*arguments)) if self._knows_file_systems else -1


@on_linux
def test_a_signal_while_a_maildir_is_opened_changes_nothing(
    mail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert beneath.has_openat2() in (True, False)
    library = Library()
    monkeypatch.setattr(beneath, "_library", lambda: library)
    maildir = at(mail / "alice")
    assert os.fstat(maildir.open().number).st_ino == inode(mail / "alice")
    assert maildir.is_local


@on_linux
def test_a_disk_that_the_system_does_not_describe_is_treated_as_a_distant_one(
    mail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(knows_file_systems=False)
    monkeypatch.setattr(beneath, "_library", lambda: library)
    maildir = at(mail / "alice")
    maildir.open()
    assert not maildir.is_local


def test_a_container_that_forbids_openat2_serves_mail_and_never_claims_that_it_is_in_memory(
    mail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_arguments: object) -> int:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(beneath, "_openat2", forbidden)
    beneath.has_openat2.cache_clear()
    try:
        maildir = located(mail, "deep/er/carol")
        assert os.fstat(maildir.open().number).st_ino == inode(mail / "deep/er/carol")
        assert maildir.status_if_cached(b"new") is None
    finally:
        beneath.has_openat2.cache_clear()
