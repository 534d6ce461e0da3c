"""Remembered listings are verified away from logins: what was used, one at a time, at a tenth of a thread."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pop3_service import verification
from pop3_service.disk import DiskThreads
from pop3_service.maildir import MaildirPath, Maildirs
from pop3_service.maildir.folder import Folder
from pop3_service.verification import Verification

pytestmark = pytest.mark.timeout(20)


class Clock:
    """A monotonic clock of ever so many seconds a look: every listing is old enough to be trusted."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def __call__(self) -> float:
        self._seconds += 10
        return self._seconds


@pytest.fixture
def maildirs() -> Maildirs:
    return Maildirs(Clock())


@pytest.fixture
def disk() -> Iterator[DiskThreads]:
    threads = DiskThreads()
    yield threads
    threads.close()


@pytest.fixture
def paths(tmp_path: Path, maildirs: Maildirs) -> list[MaildirPath]:
    """Give the maildirs of three users, each with a listing that a login has used."""
    names = ("alice", "bob", "carol")
    for name in names:
        for folder in ("new", "cur"):
            (tmp_path / name / folder).mkdir(parents=True)
        file_of(tmp_path, name).write_bytes(b"one\n")
    paths = [MaildirPath(os.fsencode(tmp_path), name.encode()) for name in names]
    for path in paths:
        for _ in range(2):
            maildirs.scan(maildirs.at(path))
        assert is_served(maildirs, path)
    return paths


def file_of(mail: Path, username: str) -> Path:
    return mail / username / "new" / "1.a"


def is_served(maildirs: Maildirs, path: MaildirPath) -> bool:
    return maildirs.remembered(maildirs.at(path)) is not None


async def test_only_the_listing_of_a_changed_file_is_given_up(
    maildirs: Maildirs, disk: DiskThreads, paths: list[MaildirPath], tmp_path: Path
) -> None:
    with file_of(tmp_path, "bob").open("ab") as file:
        file.write(b"two\n")
    assert [is_served(maildirs, path) for path in paths] == [True, True, True]
    await Verification(maildirs, disk).verify_used()
    assert [is_served(maildirs, path) for path in paths] == [True, False, True]


async def test_what_no_login_has_used_since_is_left_alone(
    maildirs: Maildirs, disk: DiskThreads, paths: list[MaildirPath], monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[MaildirPath] = []
    monkeypatch.setattr(Maildirs, "verify", lambda maildirs, path: verified.append(path))
    for _ in range(3):
        await Verification(maildirs, disk).verify_used()
    assert sorted(verified) == sorted(paths)
    is_served(maildirs, paths[0])
    await Verification(maildirs, disk).verify_used()
    assert verified[3:] == [paths[0]]


async def test_listings_are_verified_one_at_a_time_and_with_rests(
    maildirs: Maildirs, disk: DiskThreads, paths: list[MaildirPath], monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[int] = []
    rests: list[float] = []
    lock = threading.Lock()

    def verify(_: Maildirs, path: MaildirPath) -> None:
        assert lock.acquire(blocking=False), "two at a time"
        running.append(threading.get_ident())
        lock.release()

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(Maildirs, "verify", verify)
    monkeypatch.setattr(asyncio, "sleep", rest)
    began = asyncio.get_running_loop().time()
    await Verification(maildirs, disk).verify_used()
    seconds = asyncio.get_running_loop().time() - began
    assert len(running) == len(rests) == len(paths)
    assert threading.get_ident() not in running
    assert 0 < sum(rests) <= verification.REST * seconds


async def test_a_disk_that_hangs_keeps_no_other_listing_waiting_for_long(
    maildirs: Maildirs, disk: DiskThreads, paths: list[MaildirPath], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    verified: list[MaildirPath] = []
    # Long enough for the first one to begin; the others shall not be given up where the machine is busy.
    patience, device = iter((0.3, 20.0, 20.0)), Maildirs.device

    def device_of(of: Maildirs, path: MaildirPath) -> int | None:
        monkeypatch.setattr(verification, "PATIENCE_SECONDS", next(patience))
        return device(of, path)

    def verify(_: Maildirs, path: MaildirPath) -> None:
        if not verified:
            verified.append(path)
            assert answers.wait(10)
        else:
            verified.append(path)

    monkeypatch.setattr(Maildirs, "verify", verify)
    monkeypatch.setattr(Maildirs, "device", device_of)
    monkeypatch.setattr(verification, "REST", 0)
    try:
        await Verification(maildirs, disk).verify_used()
        assert sorted(verified) == sorted(paths)
    finally:
        answers.set()


async def test_a_bug_in_one_verification_is_logged_and_ends_no_other(
    maildirs: Maildirs,
    disk: DiskThreads,
    paths: list[MaildirPath],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    verified = []

    def verify(_: Maildirs, path: MaildirPath) -> None:
        verified.append(path)
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(Maildirs, "verify", verify)
    monkeypatch.setattr(verification, "REST", 0)
    await Verification(maildirs, disk).verify_used()
    assert sorted(verified) == sorted(paths)
    assert "a bug of ours" in capsys.readouterr().out


async def test_it_goes_on_until_it_is_cancelled_and_leaves_no_thread_working(
    maildirs: Maildirs, disk: DiskThreads, paths: list[MaildirPath], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "VERIFICATION_SECONDS", 0)
    monkeypatch.setattr(verification, "REST", 0)
    rounds, real_used = [], Maildirs.used
    has_run = asyncio.Event()

    def used(maildirs: Maildirs) -> list[MaildirPath]:
        rounds.append(real_used(maildirs))
        if len(rounds) == 3:
            has_run.set()
        return rounds[-1]

    monkeypatch.setattr(Maildirs, "used", used)
    task = asyncio.create_task(Verification(maildirs, disk).run())
    await has_run.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(rounds[0]) == sorted(paths)
    assert rounds[1:3] == [[], []]


async def test_files_are_never_looked_at_on_the_event_loop(
    maildirs: Maildirs, disk: DiskThreads, paths: list[MaildirPath], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    real = Folder.holds_all_unchanged

    def holds(folder: Folder, files: object) -> bool:
        looked.append(threading.get_ident())
        return real(folder, files)  # type: ignore[arg-type]

    monkeypatch.setattr(Folder, "holds_all_unchanged", holds)
    assert all(is_served(maildirs, path) for path in paths)
    assert looked == []
    await Verification(maildirs, disk).verify_used()
    assert len(looked) == 2 * len(paths)
    assert threading.get_ident() not in looked
