"""Turns at the threads that check passwords: evenly among networks, and none is lost."""

import asyncio

from state_store.credentials.turns import Turns


class Visitors:
    """Takes turns and notes in which order they come; a turn ends when it is told to."""

    def __init__(self, at_once: int) -> None:
        self.order: list[str] = []
        self._turns = Turns(at_once)
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str) -> None:
        """Let visitors come; a name begins with its network."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._visit(name))
        await settle()

    async def end(self, name: str) -> None:
        """End the turn of a visitor who has one."""
        self._ends[name].set()
        await self._tasks[name]
        await settle()

    async def leave(self, *names: str) -> None:
        """Cancel visitors, whether they wait or have a turn."""
        for name in names:
            self._tasks[name].cancel()
        await asyncio.gather(*(self._tasks[name] for name in names), return_exceptions=True)
        await settle()

    async def _visit(self, name: str) -> None:
        async with self._turns.turn(name[0]):
            self.order.append(name)
            await self._ends[name].wait()


async def settle() -> None:
    """Let all tasks run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_as_many_as_may_have_a_turn_at_once() -> None:
    visitors = Visitors(2)
    await visitors.come("a1", "a2", "a3")
    assert visitors.order == ["a1", "a2"]
    await visitors.end("a2")
    assert visitors.order == ["a1", "a2", "a3"]
    await visitors.leave("a1", "a3")


async def test_visitor_from_another_network_waits_for_no_crowd() -> None:
    visitors = Visitors(1)
    await visitors.come("a1", "a2", "a3", "a4", "b1", "c1", "b2")
    for name in ("a1", "a2", "b1", "c1", "a3", "b2", "a4"):
        assert visitors.order[-1] == name
        await visitors.end(name)


async def test_whoever_leaves_the_line_is_passed_over() -> None:
    visitors = Visitors(1)
    await visitors.come("a1", "a2", "b1", "a3")
    await visitors.leave("a2", "b1")
    await visitors.end("a1")
    assert visitors.order == ["a1", "a3"]
    await visitors.end("a3")
    await visitors.come("a4")
    assert visitors.order == ["a1", "a3", "a4"]
    await visitors.leave("a4")


async def test_turn_of_one_that_leaves_just_as_it_comes_is_passed_on() -> None:
    turns = Turns(1)
    first = turns.turn("a")
    await first.__aenter__()
    second = asyncio.create_task(turns.turn("a").__aenter__())
    await settle()
    await first.__aexit__(None, None, None)
    second.cancel()
    await asyncio.wait([second])
    assert second.cancelled()
    async with asyncio.timeout(5), turns.turn("b"):
        pass


async def test_turn_is_given_back_where_a_check_fails() -> None:
    visitors = Visitors(1)
    await visitors.come("a1", "b1")
    await visitors.leave("a1")
    assert visitors.order == ["a1", "b1"]
    await visitors.leave("b1")
