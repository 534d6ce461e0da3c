"""The loop of `peepctl top`: queries, keys, signals and the screen on one event loop."""

import asyncio
import signal
import sys
import time
from contextlib import suppress
from itertools import chain, repeat

from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import FormattedTextControl, Layout, Window

from peep_client import AsyncPeep, NegativeReply, NotSupported, PeepError, WrongLogin
from peepctl.server import Exit, Server
from peepctl.sparkline import blocks_for
from peepctl.top.screen import ORDERS, View, lines, scrolled

SESSIONS_SECONDS = 2.0
"""The shortest time between two lists of sessions: there may be thousands."""

RECONNECT_SECONDS = (0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to connect again; the last one is repeated."""

CLOCK_SECONDS = 1.0
"""How often the screen is drawn if nothing changes: it shows the time."""


def watch(server: Server, seconds: float) -> Exit:
    """Show the server until `q` is pressed, querying it every `seconds`.

    Raises `PeepError` if the first connection or query fails, or if the password is refused later on.
    """
    return asyncio.run(_watch(server, server.connect_async(), seconds))


async def _watch(server: Server, peep: AsyncPeep, seconds: float) -> Exit:
    await peep.open()
    watching = _Watching(server.endpoint.address, peep, seconds)
    try:
        # Before the screen is opened: a failure here is printed in one line.
        await watching.query()
    except NegativeReply:
        await peep.close()
        raise
    await watching.run()
    return Exit.DONE


class _Watching:
    """One run of `peepctl top`."""

    def __init__(self, address: str, peep: AsyncPeep, seconds: float) -> None:
        self._peep = peep
        self._seconds = seconds
        self._view = View(address)
        self._sessions_at = float("-inf")
        self._blocks = blocks_for(sys.stdout.encoding)
        self._screen: Application[None] = Application(
            layout=Layout(Window(FormattedTextControl(self._drawn), always_hide_cursor=True)),
            key_bindings=self._keys(),
            full_screen=True,
            refresh_interval=CLOCK_SECONDS,
        )

    async def run(self) -> None:
        """Show the view until `q`, a signal that ends it, or a wrong password."""
        querying = asyncio.create_task(self._query_repeatedly())
        querying.add_done_callback(lambda task: self._end())
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._end)
        try:
            with suppress(EOFError):  # the terminal is gone
                await self._screen.run_async()
        finally:
            querying.cancel()
            with suppress(asyncio.CancelledError):
                await querying

    async def query(self) -> None:
        """Query the server once."""
        view, peep = self._view, self._peep
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

    async def _query_repeatedly(self) -> None:
        try:
            while True:
                await asyncio.sleep(self._seconds)
                try:
                    await self.query()
                except PeepError as error:
                    self._show(error)
                    if not isinstance(error, NegativeReply):
                        await self._connect_again()
                self._screen.invalidate()
        finally:
            await self._peep.close()

    async def _connect_again(self) -> None:
        # It may then be another version, with other extensions.
        self._view.version, self._view.has_sessions = None, True
        for pause in chain(RECONNECT_SECONDS, repeat(RECONNECT_SECONDS[-1])):
            await asyncio.sleep(pause)
            try:
                await self._peep.open()
            except WrongLogin:
                raise
            except PeepError as error:
                self._show(error)
            else:
                return

    def _show(self, error: PeepError) -> None:
        self._view.trouble = str(error)
        self._view.is_lost = not isinstance(error, NegativeReply)
        self._screen.invalidate()

    def _drawn(self) -> StyleAndTextTuples:
        size = self._screen.output.get_size()
        clock = time.strftime("%H:%M:%S")
        drawn = lines(self._view, size.columns, size.rows, clock, self._blocks)
        return [fragment for line in drawn for fragment in (*line, ("", "\n"))][:-1]

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        for key in ("q", "Q", "c-c", "<sigint>"):
            keys.add(key)(lambda event: self._end())
        keys.add("c-z")(lambda event: event.app.suspend_to_background())
        keys.add("up")(lambda event: self._scroll(-1))
        keys.add("down")(lambda event: self._scroll(1))
        for key in ORDERS:
            keys.add(key)(self._sort)
        return keys

    def _sort(self, event: KeyPressEvent) -> None:
        self._view.order, self._view.offset = event.data, 0

    def _scroll(self, by: int) -> None:
        self._view.offset = scrolled(self._view, by, self._screen.output.get_size().rows)

    def _end(self) -> None:
        if self._screen.future is not None and not self._screen.future.done():
            self._screen.exit()
