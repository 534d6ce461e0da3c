"""`capabilities`, `version`, `raw`, `shell`: the protocol itself."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from peep_client.protocol.commands import KNOWN
from peepctl.options import AsJson, connected
from peepctl.output import say, say_json, say_table, shown
from peepctl.server import Exit, Server


@connected
def capabilities(server: Server, as_json: AsJson = False) -> None:
    """Show what the server can do.

    That is what cap? lists; no password is needed.
    """
    with server.connect(log_in=False) as peep:
        found = peep.capabilities()
    if as_json:
        say_json(
            {
                "authentication": list(found.authentication),
                "integers": {
                    name: {"min": allowed[0], "max": allowed[-1]} for name, allowed in found.integers.items()
                },
                "extensions": list(found.extensions),
            }
        )
        return
    rows = [(name, "", "authentication") for name in found.authentication]
    rows += [(name, f"{allowed[0]} to {allowed[-1]}", "integer") for name, allowed in found.integers.items()]
    rows += [(name, "", "extension") for name in found.extensions if name not in found.integers]
    say_table(
        ("COMMAND", "KIND", "RANGE", "WHAT IT DOES"),
        [(name, kind, allowed, KNOWN[name].summary if name in KNOWN else "") for name, allowed, kind in rows],
    )


@connected
def version(server: Server, as_json: AsJson = False) -> None:
    """Show the server's version.

    The server needs the extension v?. peepctl --version shows the version of peepctl.
    """
    with server.connect() as peep:
        found = peep.version()
    if as_json:
        say_json({"version": found})
    else:
        say(found)


@connected
def raw(
    server: Server,
    lines: Annotated[
        list[str] | None,
        typer.Argument(metavar="LINE", help="Lines to send; without any, they are read from standard input."),
    ] = None,
    log_in: Annotated[bool, typer.Option("--login/--no-login", help="Log in before the first line.")] = True,
    multi_line: Annotated[
        bool,
        typer.Option(
            "--multi-line", help="The reply to a command that peepctl does not know is +n and n lines."
        ),
    ] = False,
) -> Exit:
    """Send lines unchanged and print the replies.

    The exit code is 1 if a reply was negative.
    """
    outcome = Exit.DONE
    with server.connect(log_in=log_in) as peep:
        for line in lines or _input_lines():
            known = line.partition(" ")[0] in KNOWN
            reply = peep.command(line, multi_line=None if known else multi_line)
            for row in (reply.status, *reply.lines):
                typer.echo(shown(row) if sys.stdout.isatty() else row)
            if not reply.is_positive:
                outcome = Exit.REFUSED
    return outcome


@connected
def shell(server: Server) -> Exit:
    """Type PEEP commands and see the replies explained.

    Has a history, completion by TAB, and help. Without a terminal, commands are read from standard input.
    """
    from peepctl.shell.dialogue import converse

    return converse(server)


def _input_lines() -> Iterator[str]:
    for line in sys.stdin:
        yield line.rstrip("\r\n")
