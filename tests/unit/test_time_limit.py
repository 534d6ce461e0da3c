"""How long a server may take, and what does not count for it."""

import asyncio
import time

import pytest

from state_store.redis.time_limit import time_limit


async def test_who_says_nothing_in_time_is_given_up() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with time_limit(0.2):
            await asyncio.sleep(10)
    assert 0.19 < time.monotonic() - began < 5


async def test_an_answer_in_time_is_taken() -> None:
    async with time_limit(0.2):
        await asyncio.sleep(0.01)
    # Nothing is left behind that would strike later.
    await asyncio.sleep(0.25)


async def test_an_answer_that_came_while_the_loop_stood_still_is_taken() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        async with time_limit(0.2):
            writer.write(b"question\n")
            time.sleep(0.5)  # noqa: ASYNC251 - this is the loop that stands still
            assert await reader.readline() == b"question\n"
        writer.close()


async def test_a_cancelled_task_is_cancelled_and_not_late() -> None:
    async def wait() -> None:
        async with time_limit(10):
            await asyncio.sleep(10)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
