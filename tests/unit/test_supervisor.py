from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import structlog

from service_runtime import supervisor as supervisor_module
from service_runtime.child_process import Address, ChildStartError, Ending, Program
from service_runtime.supervisor import Supervisor, WorkerPool
from support.waiting import until as until_true

READY = """\
with open(int(os.environ["PEEP_READY_FD"]), "w") as ready:
    ready.write("POP3 127.0.0.1:1110\\nready\\n")
"""
WAIT_FOR_SIGNAL = "signal.pause()"
WAIT_FOR_SUPERVISOR = 'os.read(int(os.environ["PEEP_PARENT_FD"]), 1)'
END_ON_SIGTERM = "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))"
IGNORE_SIGTERM = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def program(*lines: str, name: str = "child", **environment: str) -> Program:
    source = "\n".join(("import os, signal, sys", *lines))
    return Program(name, (sys.executable, "-S", "-E", "-c", source), environment)


def well_behaved(name: str = "child") -> Program:
    return program(END_ON_SIGTERM, READY, WAIT_FOR_SIGNAL, name=name)


ANSWER = 'os.write(int(os.environ["PEEP_ANSWER_FD"]), b"+")'


def answering(*each_time: str, name: str = "child", **environment: str) -> Program:
    """Return one that reads queries, does `each_time`, and answers."""
    read = "os.read(int(os.environ['PEEP_PARENT_FD']), 4096)"
    lines = (read, *each_time, ANSWER)
    return program(
        END_ON_SIGTERM, READY, "while True:", *(f"    {line}" for line in lines), name=name, **environment
    )


async def test_a_ready_child_tells_where_it_listens() -> None:
    supervisor = Supervisor()
    assert await supervisor.start(well_behaved()) == (Address("POP3", "127.0.0.1:1110"),)
    await supervisor.stop(5)


async def test_a_child_that_ends_before_it_is_ready_is_reported_with_its_exit_code() -> None:
    with pytest.raises(ChildStartError, match="gateway ended with exit code 3 before it was ready") as caught:
        await Supervisor().start(program("sys.exit(3)", name="gateway"))
    assert caught.value.exit_code == 3


async def test_a_child_that_never_gets_ready_is_reported_after_the_given_time() -> None:
    supervisor = Supervisor()
    with pytest.raises(ChildStartError, match=r"child was not ready after 0\.2 s"):
        await supervisor.start(program(WAIT_FOR_SIGNAL), seconds=0.2)
    assert await supervisor.stop(5) == ()


async def test_a_command_that_does_not_exist_leaves_nothing_open() -> None:
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(FileNotFoundError):
        await Supervisor().start(Program("nothing", ("/nonexistent/program",), {}))
    await asyncio.sleep(0)  # the closed transport gives its file back in the next turn
    assert len(os.listdir("/dev/fd")) <= before


async def test_an_ending_names_the_child_and_its_exit_code_and_it_can_be_started_again() -> None:
    supervisor = Supervisor()
    await supervisor.start(well_behaved("pop3-service"))
    await supervisor.start(program(READY, "sys.exit(7)", name="peep-gateway"))
    ending = await supervisor.ending("peep-gateway")
    assert ending == Ending("peep-gateway", 7)
    assert str(ending) == "peep-gateway ended with exit code 7"
    await supervisor.start(program(IGNORE_SIGTERM, READY, WAIT_FOR_SIGNAL, name="peep-gateway"))
    assert await supervisor.stop(0.5) == ("peep-gateway",)


def test_an_ending_by_a_signal_names_the_signal() -> None:
    assert str(Ending("state-api", -signal.SIGKILL)) == "state-api was ended by SIGKILL"


async def test_stop_ends_children_with_sigterm_and_kills_only_who_ignores_it() -> None:
    supervisor = Supervisor()
    await supervisor.start(well_behaved("obedient"))
    await supervisor.start(program(IGNORE_SIGTERM, READY, WAIT_FOR_SIGNAL, name="stubborn"))
    assert await supervisor.stop(0.5) == ("stubborn",)
    assert await supervisor.stop(0.5) == ()


async def test_kill_ends_even_a_child_that_ignores_sigterm_at_once() -> None:
    supervisor = Supervisor()
    await supervisor.start(program(IGNORE_SIGTERM, READY, WAIT_FOR_SIGNAL, name="stubborn"))
    supervisor.kill()
    assert await supervisor.ending("stubborn") == Ending("stubborn", -signal.SIGKILL)


async def test_a_child_runs_in_a_session_of_its_own() -> None:
    supervisor = Supervisor()
    own_session = (
        'ready = open(int(os.environ["PEEP_READY_FD"]), "w"); print("session", os.getsid(0), file=ready)'
    )
    (address,) = await supervisor.start(
        program(END_ON_SIGTERM, own_session, 'print("ready", file=ready); ready.close()', WAIT_FOR_SIGNAL)
    )
    assert int(address.address) != os.getsid(0)
    await supervisor.stop(5)


def test_no_child_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    witness = tmp_path / "ended"
    child = f"{READY}\n{WAIT_FOR_SUPERVISOR}\nopen({str(witness)!r}, 'w').close()"
    source = textwrap.dedent(f"""\
        import asyncio, sys
        from service_runtime.child_process import Program
        from service_runtime.supervisor import Supervisor

        async def main():
            program = Program("child", (sys.executable, "-S", "-c", "import os\\n" + {child!r}), {{}})
            await Supervisor().start(program)
            print("started", flush=True)
            await asyncio.Event().wait()

        asyncio.run(main())
    """)
    with subprocess.Popen((sys.executable, "-c", source), stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        parent.kill()
        # The child holds this pipe's other end too: its end of file comes when the child is gone.
        assert parent.stdout.read() == b""
    assert witness.exists()


async def test_a_dead_worker_is_started_again(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    os.mkfifo(starts)
    note = f"open({str(starts)!r}, 'w').write(str(os.getpid()))"
    noted = program(END_ON_SIGTERM, READY, note, WAIT_FOR_SIGNAL, name="worker-1")
    pool = WorkerPool([noted, well_behaved("worker-2")])
    with structlog.testing.capture_logs() as events:
        assert await pool.start() == (Address("POP3", "127.0.0.1:1110"),)
        first = int(await asyncio.to_thread(starts.read_text))
        os.kill(first, signal.SIGKILL)
        second = int(await asyncio.to_thread(starts.read_text))
    assert second != first
    assert events[0]["worker"] == "worker-1"
    assert events[0]["ending"] == "worker-1 was ended by SIGKILL"
    assert await pool.stop(5) == ()


async def test_five_deaths_of_one_worker_within_ten_seconds_end_the_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_BACK_OFF_SECONDS", 1 / 64)
    pool = WorkerPool([well_behaved("worker-1"), program(READY, "sys.exit(9)", name="worker-2")])
    with structlog.testing.capture_logs() as events:
        await pool.start()
        error = await pool.failure()
    assert str(error) == "worker-2 ended with exit code 9, for the 5th time within 10 s"
    pauses = [event["restart_in_seconds"] for event in events if event["event"] == "worker_ended"]
    assert pauses == [1 / 64, 1 / 32, 1 / 16, 1 / 8]
    assert await pool.stop(5) == ()


async def test_a_worker_that_the_system_does_not_start_is_tried_again_and_ends_no_other(
    tmp_path: Path,
) -> None:
    python, gone = tmp_path / "python", tmp_path / "gone"
    python.symlink_to(sys.executable)
    worker = well_behaved("worker-1")
    pool = WorkerPool(
        [Program(worker.name, (str(python), *worker.command[1:]), {}), answering(name="worker-2")]
    )
    with structlog.testing.capture_logs() as events:
        await pool.start()
        python.rename(gone)
        pool._children[0].send(signal.SIGKILL)
        refused = await until("worker_not_started", events)
        gone.rename(python)
        await until("worker_started_again", events)
    assert refused["reason"] == "No such file or directory"
    assert {event["worker"] for event in events} == {"worker-1"}
    assert await pool.stop(5) == ()


async def test_a_worker_that_cannot_start_ends_the_first_start_of_the_pool() -> None:
    pool = WorkerPool(
        [well_behaved("worker-1"), program("sys.exit(2)", name="worker-2"), well_behaved("worker-3")]
    )
    with pytest.raises(ChildStartError, match="worker-2 ended with exit code 2 before it was ready"):
        await pool.start()
    assert await pool.stop(5) == ()


async def test_a_stopped_pool_starts_nobody_again() -> None:
    pool = WorkerPool([well_behaved("worker-1"), well_behaved("worker-2")])
    with structlog.testing.capture_logs() as events:
        await pool.start()
        assert await pool.stop(5) == ()
    assert events == []


@pytest.fixture
def asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "QUERY_SECONDS", 0.05)


async def until(event: str, events: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
    """Return the first logged event of this name once it is there."""
    async with asyncio.timeout(20):
        while True:
            for logged in events:
                if logged["event"] == event:
                    return logged
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("asked_often")
async def test_a_worker_that_gives_no_sign_of_life_is_ended_and_started_again() -> None:
    pool = WorkerPool([well_behaved("worker-1"), answering(name="worker-2")])
    with structlog.testing.capture_logs() as events:
        await pool.start()
        await until("worker_started_again", events)
    assert await pool.stop(5) == ()
    # The other one may be late on a busy machine.
    told = [event for event in events if event["worker"] == "worker-1"][:3]
    assert [event["event"] for event in told] == [
        "worker gives no sign of life: ending it",
        "worker_ended",
        "worker_started_again",
    ]
    assert told[0]["queries"] == supervisor_module.ENDED_AFTER
    assert told[1]["ending"] == "worker-1 was ended by SIGKILL"


class LateWorker:
    """Answers one query in so many, as one does that the machine hardly lets run."""

    name = "worker-1"

    def __init__(self, one_in: int, queries: int) -> None:
        self.one_in, self.queries, self.asked = one_in, queries, 0
        self.signals: list[int] = []
        self.ended = asyncio.get_running_loop().create_future()

    def query(self) -> None:
        self.asked += 1
        if self.asked == self.queries:
            self.ended.set_result(7)

    def has_answered(self) -> bool:
        return self.asked % self.one_in == 0

    def send(self, number: int) -> None:
        self.signals.append(number)


@pytest.mark.parametrize(
    ("one_in", "signals"),
    [(supervisor_module.ENDED_AFTER, []), (supervisor_module.ENDED_AFTER + 1, [signal.SIGKILL] * 3)],
)
async def test_a_worker_that_answers_lives_on(
    one_in: int, signals: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "QUERY_SECONDS", 0.0)
    pool = WorkerPool([well_behaved("worker-1")])
    worker = LateWorker(one_in, queries=3 * one_in + 1)
    pool._children = [worker]  # type: ignore[list-item]
    with structlog.testing.capture_logs():
        assert await pool._watch(0) == 7
    assert worker.signals == signals


@pytest.mark.usefixtures("asked_often")
async def test_a_pause_of_the_supervisor_itself_ends_nobody() -> None:
    pool = WorkerPool([answering(name="worker-1"), answering(name="worker-2")])
    with structlog.testing.capture_logs() as events:
        await pool.start()
        # As if this process, and all that runs in it, were stopped.
        threading.Event().wait(1.5 * supervisor_module.ENDED_AFTER * supervisor_module.QUERY_SECONDS)
        await asyncio.sleep(4 * supervisor_module.QUERY_SECONDS)
    assert events == []
    assert await pool.stop(5) == ()


@pytest.mark.usefixtures("asked_often")
async def test_a_pool_lives_as_long_as_one_of_its_workers_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "ENDED_AFTER", 10_000)
    silent = WorkerPool([well_behaved("worker-1"), well_behaved("worker-2")])
    half = WorkerPool([well_behaved("worker-1"), answering(name="worker-2")])
    for pool in (silent, half):
        await pool.start()
        assert pool.is_alive()
    await until_true(lambda: not silent.is_alive() and half._silent == {0})
    assert half.is_alive()
    # One that is started again has not been silent yet.
    silent._children[0].send(signal.SIGKILL)
    await until_true(silent.is_alive)
    for pool in (silent, half):
        assert await pool.stop(5) == ()
