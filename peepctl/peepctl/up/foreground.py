"""`peepctl up`: the whole system in the foreground of one terminal, without containers."""

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
    """Run Peep until a signal, or until a part cannot be kept running; return the exit code.

    0 after a clean stop, 2 if a setting is wrong, 1 if a part does not start, keeps ending or must be killed.
    """
    try:
        chosen = settings.load(UpSettings)
    except StartError as error:
        _complain(str(error))
        return 2
    return asyncio.run(_run(LocalSystem(chosen, os.environ, _say)))


async def _run(system: LocalSystem) -> int:
    request = _StopRequest(system)
    stop_requested = asyncio.create_task(request.wait())
    working = asyncio.create_task(_work(system))
    try:
        await asyncio.wait({stop_requested, working}, return_when=asyncio.FIRST_COMPLETED)
        failure = working.result() if working.done() else None
        if failure is None:
            working.cancel()
            await asyncio.wait({working})  # so that nothing is started again while everything stops
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
        # A full disk or a missing permission can show at any file that a start creates.
        return f"cannot start: {error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    return await system.first_failure()


class _StopRequest:
    """A signal requests a clean stop; a second Ctrl-C ends everything at once.

    Other signals do not: a closing terminal or `make` may send them twice. SIGHUP requests a stop only if the
    terminal is gone, and otherwise has the services load their files again.
    """

    def __init__(self, system: LocalSystem) -> None:
        self.is_impatient = False
        self._system = system
        self._requested = asyncio.Event()
        ignores_hangup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # under nohup
        streams = () if ignores_hangup else range(3)
        self._terminal = next((stream for stream in streams if os.isatty(stream)), None)
        # Whoever started us may have blocked them; the services inherit what is blocked here.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGTERM, self._requested.set)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)

    async def wait(self) -> None:
        await self._requested.wait()

    def _hung_up(self) -> None:
        # The kernel has detached a closing terminal by the time the signal arrives.
        if self._terminal is not None and not os.isatty(self._terminal):
            self._requested.set()
        elif not self._requested.is_set():
            self._system.reload()

    def _interrupt(self) -> None:
        if self._requested.is_set():
            self.is_impatient = True
            self._system.kill()
        self._requested.set()


def _say(line: str) -> None:
    _write(sys.stdout, line)


def _complain(line: str) -> None:
    _write(sys.stderr, f"peepctl: {line}")


def _write(stream: TextIO, line: str) -> None:
    encoding = stream.encoding or "ascii"
    try:
        # A path may contain characters that the terminal's encoding lacks.
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except OSError:
        # The terminal or the reader of the pipe is gone; the stop still has to be an orderly one.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
