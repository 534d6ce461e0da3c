"""The log's file: what is written together, in which order, and that nothing is lost or mixed."""

import asyncio
import json
import select
from collections.abc import Callable

import pytest
import structlog
import uvloop

from service_runtime.frequent_event import FrequentEvent
from service_runtime.log_file import LogFile
from support.captured_log import Writes, logging_as_a_service

on_both_event_loops = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


@on_both_event_loops
def test_lines_of_one_turn_are_one_write(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    written = Writes()
    log = LogFile(written)

    async def two_turns() -> None:
        for turn in range(2):
            for line in range(3):
                log.write_soon(f"{turn}.{line}\n")
            assert len(written.pieces) == turn
            await asyncio.sleep(0.001)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(two_turns())
    assert written.pieces == ["0.0\n0.1\n0.2\n", "1.0\n1.1\n1.2\n"]


async def test_line_that_is_written_at_once_comes_after_those_that_wait() -> None:
    written = Writes()
    log = LogFile(written)
    log.write_soon("first\n")
    log.write("second\n")
    log.flush()
    log.write_soon("third\n")
    await asyncio.sleep(0)
    assert written.pieces == ["first\nsecond\n", "third\n"]


def test_line_is_written_at_once_where_no_event_loop_runs() -> None:
    written = Writes()
    log = LogFile(written)
    log.write_soon("a line\n")
    assert written.pieces == ["a line\n"]


def test_what_waits_when_the_event_loop_ends_is_written_with_the_next_line_or_flush() -> None:
    written = Writes()
    log = LogFile(written)

    loop = asyncio.new_event_loop()
    loop.call_soon(log.write_soon, "last words\n")
    loop.call_soon(loop.stop)
    loop.run_forever()  # one turn
    loop.close()
    assert written.pieces == []
    log.flush()
    assert written.pieces == ["last words\n"]
    with asyncio.Runner() as runner:
        runner.run(_says_more(log))
    assert written.pieces == ["last words\n", "more\n"]


async def _says_more(log: LogFile) -> None:
    log.write_soon("more\n")
    await asyncio.sleep(0.001)


async def test_no_write_is_longer_than_what_a_pipe_keeps_together() -> None:
    written = Writes()
    log = LogFile(written)
    lines = [f"{number:0300}\n" for number in range(100)]
    for line in lines:
        log.write_soon(line)
    await asyncio.sleep(0)
    assert "".join(written.pieces) == "".join(lines)
    assert max(map(len, written.pieces)) <= select.PIPE_BUF
    assert all(piece.endswith("\n") for piece in written.pieces)
    assert len(written.pieces) < len(lines) / 10


async def test_line_longer_than_that_is_a_write_of_its_own() -> None:
    written = Writes()
    log = LogFile(written)
    for line in ("a\n", "b" * select.PIPE_BUF + "\n", "c\n"):
        log.write_soon(line)
    await asyncio.sleep(0)
    assert [piece[0] for piece in written.pieces] == ["a", "b", "c"]


async def test_lines_that_cannot_be_written_do_not_stay_in_memory() -> None:
    written = Writes()
    log = LogFile(written)
    written.is_broken = True
    for _ in range(100):
        log.write_soon("x" * 300 + "\n")
    with pytest.raises(BrokenPipeError):
        log.flush()
    written.is_broken = False
    log.write_soon("heard again\n")
    log.flush()
    assert written.pieces == ["heard again\n"]


async def test_events_keep_the_order_in_which_they_happen() -> None:
    with logging_as_a_service() as written:
        ended = FrequentEvent("session ended")
        ended.info(session="1")
        structlog.get_logger().warning("password refused", session="2")
        ended.info(session="3")
        await asyncio.sleep(0)
    events = [json.loads(line) for line in written.lines()]
    assert [event["session"] for event in events] == ["1", "2", "3"]
    assert len(written.pieces) == 2
    timestamps = [event["timestamp"] for event in events]
    assert timestamps == sorted(timestamps)


async def test_people_get_frequent_events_as_all_others() -> None:
    with logging_as_a_service("console") as written:
        FrequentEvent("session ended").info(session="1", tls=None)
    (line,) = written.pieces
    assert "session ended" in line
    assert "session" in line
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)


async def test_level_above_info_hides_frequent_events() -> None:
    with logging_as_a_service(level="warning") as written:
        FrequentEvent("session ended").info(session="1")
        await asyncio.sleep(0)
    assert written.pieces == []
