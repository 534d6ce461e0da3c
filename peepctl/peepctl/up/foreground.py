"""`peepctl up`: the whole system in the foreground of one terminal, without containers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TextIO

from peepctl.up.settings import UpSettings
from peepctl.up.system import LocalSystem
from service_runtime import settings
from service_runtime.errors import StartError


def up() -> int:
    """Run Peep until a signal or the end of one part; return the exit code.

    0 after a clean stop, 2 when a setting is wrong, 1 when a part does not start, ends, or has to be killed.
    """
    try:
        chosen = settings.load(UpSettings)
    except StartError as error:
        _complain(str(error))
        return 2
    return asyncio.run(_run(LocalSystem(chosen, os.environ, _say)))


async def _run(system: LocalSystem) -> int:
    request = _StopRequest(system)
    asked = asyncio.create_task(request.wait())
    working = asyncio.create_task(_work(system))
    try:
        await asyncio.wait({asked, working}, return_when=asyncio.FIRST_COMPLETED)
        failure = working.result() if working.done() else None
        if failure is None:
            working.cancel()
            _say("stopping ...")
        else:
            _complain(f"{failure}; stopping the rest")
    finally:
        killed = await system.stop()
    if killed or request.is_impatient:
        _complain(f"had to kill {', '.join(killed) or 'what was still running'}")
        return 1
    if failure is not None:
        return 1
    _say("stopped  everything has ended cleanly")
    return 0


async def _work(system: LocalSystem) -> str:
    try:
        await system.start()
    except StartError as error:
        return str(error)
    except OSError as error:
        # A disk that is full or a folder that is somebody else's can show at any file that a start makes.
        return f"cannot start: {error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    return await system.first_ending()


class _StopRequest:
    """A signal that asks for a clean stop; Ctrl-C a second time ends everything at once.

    The other signals may well come twice for one wish: from a closing terminal, or by way of `make`. SIGHUP
    asks for a stop only from a terminal that is gone, and else has the services read their files anew.
    """

    def __init__(self, system: LocalSystem) -> None:
        self.is_impatient = False
        self._system = system
        self._asked = asyncio.Event()
        is_to_outlive_it = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # under nohup
        streams = () if is_to_outlive_it else range(3)
        self._terminal = next((stream for stream in streams if os.isatty(stream)), None)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGTERM, self._asked.set)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)

    async def wait(self) -> None:
        await self._asked.wait()

    def _hung_up(self) -> None:
        # The system lets go of a terminal that closes before it tells us.
        if self._terminal is not None and not os.isatty(self._terminal):
            self._asked.set()
        elif not self._asked.is_set():
            self._system.reload()

    def _interrupt(self) -> None:
        if self._asked.is_set():
            self.is_impatient = True
            self._system.kill()
        self._asked.set()


def _say(line: str) -> None:
    _write(sys.stdout, line)


def _complain(line: str) -> None:
    _write(sys.stderr, f"peepctl: {line}")


def _write(stream: TextIO, line: str) -> None:
    encoding = stream.encoding or "ascii"
    try:
        # A path may hold octets that the terminal's encoding has not.
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except OSError:
        # The terminal or the reader of the pipe is gone. What runs is stopped in order all the same.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
