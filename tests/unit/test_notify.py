"""What systemd is told over its socket by a service, from its start to its end."""

import asyncio
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from service_runtime.lifecycle import SIGNS_OF_LIFE, Lifecycle
from service_runtime.notify import Notifier
from service_runtime.waiting import prepare_patiently
from state_store.errors import StoreUnavailable
from state_store.repository import StateRepository

SERVED = [("POP3", "127.0.0.1:110"), ("POP3S", "127.0.0.1:995")]
SERVING = "STATUS=serving POP3 on 127.0.0.1:110, POP3S on 127.0.0.1:995"


class Manager:
    """systemd's end of the socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(20)

    def told(self) -> list[str]:
        """Return the lines of the next message."""
        return self.socket.recv(4096).decode().split("\n")

    async def next(self) -> list[str]:
        """Return the lines of the next message once it is there."""
        return await asyncio.to_thread(self.told)

    def has_more(self) -> bool:
        """Take the next message, if there is one, and return whether there was."""
        return bool(select.select([self.socket], [], [], 0)[0]) and bool(self.socket.recv(4096))


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    manager = Manager(address)
    yield manager
    manager.socket.close()


def test_a_name_without_a_file_is_understood_and_the_variables_are_for_one_process_alone() -> None:
    name = f"peep-test-{os.getpid()}"
    environment = {"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier(environment)
    assert (notifier.watchdog_seconds, environment) == (30, {})
    manager = Manager(f"\0{name}")
    notifier.alive()
    assert manager.told() == ["WATCHDOG=1"]
    manager.socket.close()
    notifier.alive()  # a manager that is gone is no trouble


def test_without_systemd_nothing_is_watched_or_told() -> None:
    Notifier({}).ready("serving nobody")
    assert Notifier({}).watchdog_seconds == 0
    assert Notifier({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}).watchdog_seconds == 0


async def test_a_reload_is_over_once_all_is_read_and_not_before(manager: Manager) -> None:
    lifecycle = Lifecycle(stop_seconds=40)
    lifecycle.watch()
    is_read = asyncio.Event()

    async def read() -> None:
        await is_read.wait()

    lifecycle.on_reload(read)
    lifecycle.ready(SERVED)
    assert await manager.next() == ["READY=1", SERVING]
    before = time.monotonic_ns() // 1000
    os.kill(os.getpid(), signal.SIGHUP)
    reloading, moment, status = await manager.next()
    assert (reloading, status) == ("RELOADING=1", "STATUS=reloading")
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    assert not manager.has_more()
    is_read.set()
    assert await manager.next() == ["READY=1", SERVING]
    os.kill(os.getpid(), signal.SIGTERM)
    stopping, extension, status = await manager.next()
    assert (stopping, extension) == ("STOPPING=1", "EXTEND_TIMEOUT_USEC=40000000")
    assert status.startswith("STATUS=stopping: ")
    lifecycle.stop()
    assert not manager.has_more()


async def test_a_reload_before_anything_is_served_does_not_say_that_it_is(manager: Manager) -> None:
    lifecycle = Lifecycle()
    lifecycle.watch()
    read = asyncio.Event()

    async def reading() -> None:
        read.set()

    lifecycle.on_reload(reading)
    os.kill(os.getpid(), signal.SIGHUP)
    await read.wait()
    await asyncio.sleep(0)
    assert not manager.has_more()


async def test_signs_of_life_come_from_the_event_loop_while_the_service_lives(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "60000")
    lifecycle = Lifecycle()
    asked: asyncio.Queue[None] = asyncio.Queue()
    is_alive = True

    def lives() -> bool:
        asked.put_nowait(None)
        return is_alive

    lifecycle.lives_while(lives)
    began = time.monotonic()
    lifecycle.watch()
    for _ in range(1 + SIGNS_OF_LIFE):
        assert await manager.next() == ["WATCHDOG=1"]
    assert time.monotonic() - began >= 0.06
    is_alive = False
    while not asked.empty():
        asked.get_nowait()
    while manager.has_more():
        pass
    await asked.get()
    await asked.get()
    assert not manager.has_more()
    is_alive = True
    assert await manager.next() == ["WATCHDOG=1"]


async def test_why_a_service_waits_is_shown_without_the_password(manager: Manager) -> None:
    url = "redis://peep:hunter2@redis.example:6379/0"

    class LateRepository(StateRepository):
        async def prepare(self) -> None:
            raise StoreUnavailable("connection refused")

    lifecycle = Lifecycle()
    waiting = asyncio.create_task(
        prepare_patiently(LateRepository(url), structlog.get_logger(), url, lifecycle)
    )
    status = await manager.next()
    assert status == ["STATUS=waiting for redis at redis.example:6379: connection refused"]
    lifecycle.stop()
    assert not await waiting
