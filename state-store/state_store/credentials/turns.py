"""Turns at a few threads, given out evenly among networks."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Lets `at_once` tasks of one event loop hold a turn.

    The others wait in one line a network. The networks' lines move on in rotation: however many wait from one
    network, whoever comes from another waits for one of them at most, and for the networks.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, network: str) -> AsyncIterator[None]:
        """Hold a turn for this network while the block lasts."""
        if self._free:
            self._free -= 1  # nobody waits while one is free
        else:
            await self._wait(network)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, network: str) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(network, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # its turn has come at the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._lines:
            network, line = self._lines.popitem(last=False)
            place = line.popleft()
            if line:
                self._lines[network] = line
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
