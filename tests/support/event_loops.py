"""Tests that run on asyncio's own event loop and on uvloop."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import pytest
import uvloop

_Service = TypeVar("_Service")

Scenario = Callable[[_Service], Coroutine[None, None, None]]


def on_both_event_loops(
    service: Callable[[], AbstractAsyncContextManager[_Service]],
) -> Callable[[Scenario[_Service]], Callable[..., None]]:
    """Make tests of scenarios with a service that `service` starts and ends.

    The loops' transports differ in when they write, read and close. A test also fails on an exception that
    reaches nobody but the event loop.
    """

    def made(scenario: Scenario[_Service]) -> Callable[..., None]:
        async def run() -> None:
            uncaught: list[dict[str, Any]] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: uncaught.append(context))
            async with service() as started:
                await scenario(started)
            assert uncaught == []

        @pytest.mark.parametrize(
            "new_event_loop",
            [
                pytest.param(asyncio.SelectorEventLoop, id="asyncio"),
                pytest.param(uvloop.new_event_loop, id="uvloop"),
            ],
        )
        def test(new_event_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(run())

        return test

    return made
