"""`peepctl shell` as it runs: a line in, a reply and its meaning out, until `q`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from peep_client import Capabilities, Peep, PeepError, WrongLogin
from peepctl.options import complain
from peepctl.output import has_colour, shown
from peepctl.server import Exit, Server
from peepctl.shell.words import help_lines, reply_in_words, syntax_of

ENDS = ("exit", "quit")


def converse(server: Server) -> Exit:
    """Take commands from the terminal, or from standard input where that is none, to their end.

    Without a terminal the exit code tells whether a reply was negative. Raises `PeepError` when the first
    connection fails.
    """
    shell = Shell(server)
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    try:
        for line in _typed(shell) if is_terminal else _given():
            if not shell.take(line.strip("\r\n")):
                break
    finally:
        shell.close()
    return Exit.REFUSED if shell.was_refused and not is_terminal else Exit.DONE


class Shell:
    """One session with a server, which is connected anew when it was lost."""

    def __init__(self, server: Server, say: Callable[[str], None] = print) -> None:
        self.was_refused = False
        self._server = server
        self._say = say
        self._peep: Peep | None = server.connect()
        self.capabilities: Capabilities | None = self._peep.capabilities()

    def close(self) -> None:
        """End the session."""
        if self._peep is not None:
            self._peep.close()
            self._peep = None

    def take(self, line: str) -> bool:
        """Carry out a line; return whether there is to be another."""
        first, _, rest = line.partition(" ")
        if first == "help":
            for text in help_lines(self.capabilities, rest.strip()):
                self._say(text)
            return True
        if first in ENDS:
            line = first = "q"
        if not line:
            return True
        try:
            self._ask(first, line)
        except WrongLogin:
            raise
        except PeepError as error:
            complain(self._server.explain(error)[1])
            self._peep = self._peep if self._peep is not None and self._peep.is_open else None
        return first != "q"

    def _ask(self, commencement: str, line: str) -> None:
        if self._peep is None:
            self._peep = self._server.connect()
            self._say("connected again")
        reply = self._peep.command(line)
        self.was_refused |= not reply.is_positive
        words = reply_in_words(commencement, reply, self.capabilities)
        self._say(f"{shown(reply.status)}{_aside(words)}")
        for row in reply.lines:
            self._say(f"  {shown(row)}")
        if commencement == "q":
            self.close()


def history_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the history is kept, readable by its owner alone."""
    folder = environment.get("XDG_STATE_HOME") or "~/.local/state"
    path = Path(folder).expanduser() / "peep" / "peepctl-history"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    return path


def _given() -> Iterator[str]:
    yield from sys.stdin


def _typed(shell: Shell) -> Iterator[str]:
    from prompt_toolkit import PromptSession

    from peepctl.shell.completing import DiscreetHistory, PeepCompleter

    session: PromptSession[str] = PromptSession(
        history=DiscreetHistory(str(history_file())),
        completer=PeepCompleter(lambda: shell.capabilities),
        complete_while_typing=False,
        bottom_toolbar=lambda: syntax_of(session.default_buffer.text, shell.capabilities) or "help, q",
    )
    print("Commands are those of PEEP; help lists them, TAB completes, q ends.")
    while True:
        try:
            yield session.prompt("peep> ")
        except KeyboardInterrupt:
            continue  # the line is dropped, as shells do
        except EOFError:
            return


def _aside(words: str) -> str:
    if not words:
        return ""
    return f"   \x1b[2m{words}\x1b[0m" if has_colour() else f"   {words}"
