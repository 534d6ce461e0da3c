"""`peepctl top` as it runs: it looks at the server, reads the keys and draws, all on one event loop."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import suppress
from itertools import chain, repeat

from rich.console import Console, Group
from rich.live import Live

from peep_client import AsyncPeep, NegativeReply, NotSupported, PeepError, WrongLogin
from peepctl.server import Exit, Server
from peepctl.top.keys import Keyboard
from peepctl.top.screen import BLOCKS, ORDERS, PLAIN_BLOCKS, View, lines, scrolled

SESSIONS_SECONDS = 2.0
"""How often sessions are listed at the most: there may be thousands."""

RECONNECT_SECONDS = (0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to connect anew; the last one goes on for ever."""

CLOCK_SECONDS = 1.0


def watch(server: Server, seconds: float) -> Exit:
    """Show the server until `q`, looking at it every `seconds`.

    Raises `PeepError` when the first connection fails, or when the password is wrong later on.
    """
    peep = server.connect_async()
    return asyncio.run(_run(server, peep, seconds))


async def _run(server: Server, peep: AsyncPeep, seconds: float) -> Exit:
    await peep.open()
    watching = _Watching(server, seconds)
    try:
        # What fails at once is told in a line, and no screen is opened for it.
        await watching.look(peep)
    except NegativeReply:
        await peep.close()
        raise
    await watching.run(peep)
    return Exit.DONE


class _Watching:
    """One run."""

    def __init__(self, server: Server, seconds: float) -> None:
        self._server = server
        self._seconds = seconds
        self._view = View(server.endpoint.address)
        self._sessions_at = float("-inf")
        self._console = Console(highlight=False)
        is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        self._blocks = BLOCKS if is_unicode else PLAIN_BLOCKS
        self._changed = asyncio.Event()
        self._is_over = False

    async def run(self, peep: AsyncPeep) -> None:
        """Show what there is until `q`, a signal that asks for the end, or a wrong password."""
        looking = asyncio.create_task(self._look_again_and_again(peep))
        looking.add_done_callback(lambda task: self._end())
        try:
            with (
                Keyboard() as keyboard,
                Live(
                    console=self._console, screen=True, auto_refresh=False, vertical_overflow="crop"
                ) as live,
            ):
                self._listen(keyboard)
                while not self._is_over:
                    self._draw(live)
                    await self._change()
        finally:
            self._stop_listening()
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    async def look(self, peep: AsyncPeep) -> None:
        """Look at the server once."""
        view = self._view
        view.history.add(time.monotonic(), await peep.counters())
        view.settings = await peep.settings()
        if view.version is None:
            with suppress(NotSupported):
                view.version = await peep.version()
        if view.has_sessions and time.monotonic() - self._sessions_at >= SESSIONS_SECONDS:
            try:
                view.sessions = await peep.sessions()
            except NotSupported:
                view.has_sessions = False
            self._sessions_at = time.monotonic()
        view.trouble, view.is_lost = "", False

    async def _look_again_and_again(self, peep: AsyncPeep) -> None:
        try:
            while True:
                await asyncio.sleep(self._seconds)
                try:
                    await self.look(peep)
                except NegativeReply as error:
                    self._tell(error)
                except PeepError as error:
                    self._tell(error)
                    await self._connect_anew(peep)
                self._changed.set()
        finally:
            await peep.close()

    async def _connect_anew(self, peep: AsyncPeep) -> None:
        # It may be another version, which can do other things.
        self._view.version, self._view.has_sessions = None, True
        for pause in chain(RECONNECT_SECONDS, repeat(RECONNECT_SECONDS[-1])):
            await asyncio.sleep(pause)
            try:
                await peep.open()
            except WrongLogin:
                raise
            except PeepError as error:
                self._tell(error)
            else:
                return

    def _tell(self, error: PeepError) -> None:
        self._view.trouble = str(error)
        self._view.is_lost = not isinstance(error, NegativeReply)
        self._changed.set()

    # The screen

    def _draw(self, live: Live) -> None:
        width, height = self._console.size
        drawn = lines(self._view, width, height, time.strftime("%H:%M:%S"), self._blocks)
        live.update(Group(*drawn), refresh=True)

    async def _change(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOCK_SECONDS):
                await self._changed.wait()
        self._changed.clear()

    # The keyboard and signals

    def _listen(self, keyboard: Keyboard) -> None:
        loop = asyncio.get_running_loop()
        self._keyboard = keyboard
        loop.add_reader(keyboard.file_descriptor, self._read_keys)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGWINCH, self._changed.set)
        loop.add_signal_handler(signal.SIGCONT, self._resume)

    def _stop_listening(self) -> None:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())

    def _read_keys(self) -> None:
        pressed = self._keyboard.read()
        for key in pressed if pressed is not None else ["q"]:
            self._obey(key)
        self._changed.set()

    def _obey(self, key: str) -> None:
        view = self._view
        if key.lower() == "q":
            self._end()
        elif key in ORDERS:
            view.order, view.offset = key, 0
        elif key in ("up", "down"):
            view.offset = scrolled(view, 1 if key == "down" else -1, self._console.size.height)

    def _resume(self) -> None:
        self._keyboard.resume()
        self._changed.set()

    def _end(self) -> None:
        self._is_over = True
        self._changed.set()
