"""No pause of its own threads, or of the machine, makes untrue what a run of faults notes."""

import os
import signal
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from support import pop3_process
from support.fault_client import LONGEST_STATUS_LINE, STORE_AWAY, FaultClient
from support.fault_log import PULSE_SECONDS, RunLog, Span, stalls
from support.fault_world import FaultWorld, Schedule

WORKER = 4711


class Signals:
    """Stands for the kernel: notes when which signal was sent, and may know no such process."""

    def __init__(self, *, knows_processes: bool = True) -> None:
        self.sent: dict[int, float] = {}
        self._knows_processes = knows_processes

    def send(self, process: int, signal_number: int) -> None:
        self.sent[signal_number] = time.monotonic()
        if not self._knows_processes:
            raise ProcessLookupError(process)


@pytest.fixture
def world(tmp_path: Path) -> FaultWorld:
    return FaultWorld(tmp_path, Schedule("nothing"), seed=1, seconds=0.0)


def test_a_kill_is_dated_before_it(world: FaultWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    # Dated later, what the worker had not told would count as told.
    signals = Signals()
    monkeypatch.setattr(os, "kill", signals.send)
    world._kill([WORKER], "worker")
    assert world.log.kills[WORKER] <= signals.sent[signal.SIGKILL]


def test_a_worker_that_has_noticed_the_end_of_its_supervisor_need_not_be_killed(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "kill", Signals(knows_processes=False).send)
    world._kill([WORKER], "service and its workers", WORKER - 1)
    assert WORKER in world.log.kills


def test_a_stop_lasts_from_before_it_until_the_worker_goes_on(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = Signals()
    monkeypatch.setattr(os, "kill", signals.send)
    world._stop(WORKER, 0.0)
    world._go_on(WORKER)
    (stop,) = world.log.stops[WORKER]
    assert stop.begin <= signals.sent[signal.SIGSTOP]
    assert stop.end >= signals.sent[signal.SIGCONT]


def test_the_machine_stood_still_where_a_short_wait_took_long() -> None:
    pauses = iter([PULSE_SECONDS, 2.0, PULSE_SECONDS])
    now = 10.0

    def wait(seconds: float) -> bool:
        nonlocal now
        now += next(pauses)
        return now > 12.06

    assert list(stalls(wait, lambda: now)) == [Span(10.05, 12.05)]


def test_what_is_waited_for_is_looked_at_once_more_after_a_look_in_which_the_machine_stood_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, looks = 0.0, 0

    def holds() -> bool:
        nonlocal now, looks
        now, looks = now + 18.5, looks + 1
        return looks == 2

    clock = SimpleNamespace(monotonic=lambda: now, sleep=lambda _: None)
    monkeypatch.setattr(pop3_process, "time", clock)
    pop3_process.wait_until(holds, "no ghosts are left", 18.0)
    with pytest.raises(AssertionError, match="not so after 18 s"):
        pop3_process.wait_until(lambda: holds() and False, "no ghosts are left", 18.0)


def test_a_reply_to_quit_after_a_refused_login_may_be_counted_though_its_client_was_gone(
    tmp_path: Path,
) -> None:
    # Of a worker that is stopped meanwhile: it answers when its client has lost patience.
    log = RunLog()
    reply = STORE_AWAY + b", try again later\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        client = FaultClient("client", ["anna"], tmp_path, log, "1", lambda: [address], threading.Event())
        server = threading.Thread(target=_refuse_and_go, args=(listener, reply))
        server.start()
        client.look("anna", address)
        server.join()
    (session,) = log.sessions
    assert session.unsure.octets == len(reply) + LONGEST_STATUS_LINE


def _refuse_and_go(listener: socket.socket, reply: bytes) -> None:
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"+OK ready a-1\r\n")
        lines.readline()
        connection.sendall(b"+OK\r\n")
        lines.readline()
        connection.sendall(reply)
        lines.readline()
