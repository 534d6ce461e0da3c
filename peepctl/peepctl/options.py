"""The options that say where to connect, for every command that does."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from peep_client import PeepError
from peepctl.output import shown
from peepctl.server import Server
from peepctl.settings_layers import WrongSettings
from peepctl.whereabouts import Given

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with the names of the HTTP API.")]

_OPTIONS: dict[str, Any] = {
    "host": Annotated[
        str | None,
        typer.Option(metavar="HOST[:PORT]", help="Where PEEP is served.", show_default="127.0.0.1"),
    ],
    "port": Annotated[
        int | None,
        typer.Option(metavar="PORT", help="Its port.", show_default="2110, with TLS 2995"),
    ],
    "user": Annotated[
        str | None, typer.Option(metavar="NAME", help="The administrator to log in as.", show_default="admin")
    ],
    "tls": Annotated[bool | None, typer.Option("--tls/--no-tls", help="Connect inside TLS.")],
    "ca_file": Annotated[
        str | None, typer.Option(metavar="FILE", help="Certificates to trust in place of the system's (PEM).")
    ],
    "insecure": Annotated[
        bool | None, typer.Option("--insecure", help="Take any certificate: nobody knows then who is there.")
    ],
    "config": Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Settings file.", show_default="~/.config/peep/peepctl.toml"),
    ],
}

_CONTEXT = "_context"
_PARAMETERS = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
    for name, annotation in _OPTIONS.items()
]


def connected(command: Callable[..., int | None]) -> Callable[..., None]:
    """Give a command the options that say where to connect, as its first argument `server`.

    What the command returns is the exit code. What goes wrong with the server is told in one line.
    """

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        server = server_of(arguments.pop(_CONTEXT))
        others = {name: value for name, value in arguments.items() if name not in _OPTIONS}
        try:
            code = command(server, **others)
        except (PeepError, WrongSettings) as error:
            code, text = server.explain(error)
            complain(text)
        raise typer.Exit(code or 0)

    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    context = inspect.Parameter(_CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    _set_parameters(run, [*own, context])
    return run


def connecting(callback: Callable[..., None]) -> Callable[..., None]:
    """Give the program itself the same options, for those who say where before they say what."""

    @functools.wraps(callback)
    def run(**arguments: Any) -> None:
        callback(**{name: value for name, value in arguments.items() if name not in _OPTIONS})

    _set_parameters(run, list(inspect.signature(callback, eval_str=True).parameters.values()))
    return run


def server_of(context: typer.Context) -> Server:
    """Return the server that a command's own options, then those of the program before it, lead to."""
    own, before = (
        Given(**{name: found.params.get(name) for name in _OPTIONS})
        for found in (context, context.find_root())
    )
    return Server(own.over(before))


def complain(text: str) -> None:
    """Tell on standard error what went wrong."""
    typer.echo(f"peepctl: {shown(text)}", err=True)


def _set_parameters(function: Callable[..., None], own: list[inspect.Parameter]) -> None:
    # Typer reads signature and annotations; it never sees that of the wrapped function.
    parameters = [*(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own), *_PARAMETERS]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
