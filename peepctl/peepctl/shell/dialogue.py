"""The loop of `peepctl shell`: read a line, print the reply and its meaning, until `q`."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from peep_client import Capabilities, ConnectionLost, PeepError, Reply, WrongLogin
from peepctl.options import complain
from peepctl.output import has_colour, shown
from peepctl.server import Exit, Server
from peepctl.shell.words import help_lines, reply_in_words, syntax_of

ENDS = ("q", "exit", "quit")


def converse(server: Server) -> Exit:
    """Run the commands typed at the terminal, or those of standard input if it is not one.

    Without a terminal the exit code says whether a reply was negative. Raises `PeepError` if the first
    connection fails.
    """
    shell = Shell(server)
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    try:
        for line in _typed(shell) if is_terminal else sys.stdin:
            try:
                if not shell.take(line.strip("\r\n")):
                    break
            except PeepError as error:
                if isinstance(error, WrongLogin) or not is_terminal:
                    raise
                complain(server.explain(error)[1])
    finally:
        shell.close()
    return Exit.REFUSED if shell.was_refused and not is_terminal else Exit.DONE


class Shell:
    """One session with a server; a lost connection is opened again for the next command."""

    def __init__(self, server: Server) -> None:
        self.was_refused = False
        self._server = server
        self._connect()

    def close(self) -> None:
        """End the session."""
        self._peep.close()

    def take(self, line: str) -> bool:
        """Run one line and return whether to read another. Raises what `Peep.command` raises."""
        first, _, rest = line.partition(" ")
        if first == "help":
            for text in help_lines(self.capabilities, rest.strip()):
                print(text)
        elif first in ENDS:
            with suppress(ConnectionLost):
                self._show("q", self._peep.command("q"))
            return False
        elif line:
            if not self._peep.is_open:
                self._connect()
                print("connected again")
            self._show(first, self._peep.command(line))
        return True

    def _connect(self) -> None:
        self._peep = self._server.connect()
        self.capabilities: Capabilities = self._peep.capabilities()

    def _show(self, commencement: str, reply: Reply) -> None:
        self.was_refused |= not reply.is_positive
        print(f"{shown(reply.status)}{_aside(reply_in_words(commencement, reply, self.capabilities))}")
        for row in reply.lines:
            print(f"  {shown(row)}")


def history_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the history file, made readable by its owner only."""
    folder = environment.get("XDG_STATE_HOME") or "~/.local/state"
    path = Path(folder).expanduser() / "peep" / "peepctl-history"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    return path


def _typed(shell: Shell) -> Iterator[str]:
    from prompt_toolkit import PromptSession

    from peepctl.shell.completing import DiscreetHistory, PeepCompleter

    try:
        history = DiscreetHistory(str(history_file()))
    except OSError as error:
        history = None  # the home directory cannot be written to
        complain(f"the history will not be kept: {error.filename}: {error.strerror}")
    session: PromptSession[str] = PromptSession(
        history=history,
        completer=PeepCompleter(lambda: shell.capabilities),
        complete_while_typing=False,
        bottom_toolbar=lambda: syntax_of(session.default_buffer.text, shell.capabilities) or "help, q",
    )
    print("Type PEEP commands; help lists them, TAB completes, q quits.")
    while True:
        try:
            yield session.prompt("peep> ")
        except KeyboardInterrupt:
            continue  # drops the line, as shells do
        except EOFError:
            return


def _aside(words: str) -> str:
    if not words:
        return ""
    return f"   \x1b[2m{words}\x1b[0m" if has_colour() else f"   {words}"
