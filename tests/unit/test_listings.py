"""Listing maildirs for those who log in: one at a time each, and nobody waits for ever."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pop3_service import listing
from pop3_service.disk import DiskThreads
from pop3_service.listing import Listings
from pop3_service.maildir import Maildir, MaildirPath, Maildirs, MaildirUnreadable
from pop3_service.maildir.folder import Folder

pytestmark = pytest.mark.timeout(20)


class SlowDisk:
    """Lists folders only while it is open, and counts how often."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.listed = 0


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    disk, real_names = SlowDisk(), Folder.names

    def names(folder: Folder) -> list[bytes]:
        disk.listed += 1
        assert disk.is_open.wait(10)
        return real_names(folder)

    monkeypatch.setattr(Folder, "names", names)
    monkeypatch.setattr(listing, "LISTING_SECONDS", 0.05)
    yield disk
    disk.is_open.set()


@pytest.fixture
def maildirs() -> Maildirs:
    return Maildirs()


@pytest.fixture
def alice(tmp_path: Path, maildirs: Maildirs) -> Maildir:
    (tmp_path / "alice" / "new").mkdir(parents=True)
    (tmp_path / "alice" / "new" / "1.a").write_bytes(b"one\n")
    return maildirs.at(MaildirPath(os.fsencode(tmp_path), b"alice"))


async def test_who_waits_too_long_is_told_so_and_the_next_finds_what_was_begun(
    slow_disk: SlowDisk, maildirs: Maildirs, alice: Maildir, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings = Listings(maildirs, DiskThreads())
    for _ in range(3):
        with pytest.raises(MaildirUnreadable, match="takes too long") as caught:
            await listings.contents(alice)
        assert caught.value.is_temporary
    assert slow_disk.listed == 1
    monkeypatch.setattr(listing, "LISTING_SECONDS", 10)
    comer = asyncio.create_task(listings.contents(maildirs.at(alice.path)))
    await asyncio.sleep(0)
    (Path(os.fsdecode(alice.path.whole)) / "new" / "2.b").write_bytes(b"two\n")
    slow_disk.is_open.set()
    # What came since the listing began is there too.
    assert [message.unique_id for message in (await comer).messages] == [b"1.a", b"2.b"]


async def test_a_maildir_that_is_not_the_locked_one_is_opened_only(
    maildirs: Maildirs, alice: Maildir, tmp_path: Path
) -> None:
    listings = Listings(maildirs, DiskThreads())
    assert await listings.contents_if_locked(alice, "") is None
    assert alice.held is not None
    again = maildirs.at(alice.path)
    contents = await listings.contents_if_locked(again, alice.lock_name)
    assert contents is not None
    assert len(contents.messages) == 1
    missing = maildirs.at(MaildirPath(os.fsencode(tmp_path), b"nobody"))
    contents = await listings.contents_if_locked(missing, "")
    assert contents is not None
    assert contents.messages == ()


async def test_what_hangs_before_it_has_begun_is_not_begun_for_who_has_gone(
    slow_disk: SlowDisk, maildirs: Maildirs, alice: Maildir, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long this machine stands still, these jobs are not long ones, which leave room for others.
    monkeypatch.setattr("pop3_service.disk.LONG_SECONDS", 3600.0)
    disk = DiskThreads()
    listings = Listings(maildirs, disk)
    busy = [disk.begin(None, slow_disk.is_open.wait) for _ in range(4)]
    with pytest.raises(MaildirUnreadable):
        await listings.contents(alice)
    slow_disk.is_open.set()
    await asyncio.gather(*(work.answer for work in busy))
    assert await disk.run(None, str) == ""
    assert slow_disk.listed == 0
    assert len((await listings.contents(alice)).messages) == 1
