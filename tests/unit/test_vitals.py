"""A process measures its disk and its event loop without ever waiting for them."""

import asyncio
import contextlib
import os
import threading
import time
from pathlib import Path

import pytest

from pop3_service import vitals
from pop3_service.disk import DiskThreads
from pop3_service.vitals import DiskLook, LoopLag, Room
from support.waiting import until


async def test_a_look_tells_what_the_file_system_has(tmp_path: Path) -> None:
    disk = DiskThreads()
    look = DiskLook(disk)
    look.begin(str(tmp_path))
    await until(lambda: look.room != Room())
    about = os.statvfs(tmp_path)
    assert (look.room.octets, look.room.inodes) == (about.f_blocks * about.f_frsize, about.f_files)
    assert 0 < look.room.free <= look.room.octets
    assert (look.fault, look.seconds > 0) == ("", True)
    disk.close()


async def test_a_directory_that_is_gone_is_a_fault_until_it_is_back(tmp_path: Path) -> None:
    disk = DiskThreads()
    look = DiskLook(disk)
    look.begin(str(tmp_path / "gone"))
    await until(lambda: look.fault != "")
    assert (look.fault, look.room) == ("No such file or directory", Room())
    look.begin(str(tmp_path))
    await until(lambda: look.fault == "")
    disk.close()


async def test_a_disk_that_hangs_is_looked_at_once_and_its_time_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on, looks = threading.Event(), []

    def hang(directory: str) -> Room:
        looks.append(directory)
        may_go_on.wait(20)
        return Room(1)

    monkeypatch.setattr(vitals, "_look", hang)
    disk = DiskThreads()
    look = DiskLook(disk)
    for _ in range(3):
        look.begin(str(tmp_path))
    before = look.seconds
    await until(lambda: bool(looks) and look.seconds > before)
    assert looks == [str(tmp_path)]
    may_go_on.set()
    await until(lambda: look.room == Room(1))
    disk.close()


async def test_the_lateness_of_the_event_loop_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vitals, "TICK_SECONDS", 0.01)
    lag = LoopLag()
    task = asyncio.create_task(lag.run())
    await asyncio.sleep(0)
    time.sleep(0.06)  # noqa: ASYNC251 - the event loop stands still
    await asyncio.sleep(0.02)
    assert lag.take() > 0.04
    assert lag.take() < 0.04
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
