"""The connection options, for every command that connects."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from peep_client import PeepError
from peepctl.endpoint import ConnectionOptions
from peepctl.http_api import ApiError
from peepctl.output import shown
from peepctl.server import Exit, Server
from peepctl.sources import WrongSettings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with the names of the HTTP API.")]

PasswordFromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, one line.")
]

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
        str | None, typer.Option(metavar="FILE", help="Certificates to trust instead of the system's (PEM).")
    ],
    "insecure": Annotated[
        bool | None, typer.Option("--insecure", help="Accept any certificate: anyone could be the server.")
    ],
    "http": Annotated[
        str | None,
        typer.Option(metavar="URL", help="The HTTP API, for what needs it.", show_default="http://HOST:8110"),
    ],
    "timeout": Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS",
            help="How long the server may take to connect and to answer; the HTTP API is asked again for so "
            "long while it is away.",
            show_default="as long as the command usually needs",
        ),
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
    """Give a command the connection options; it gets the `Server` that they name as its first argument.

    The command returns its exit code. Errors of the server and of settings are printed in one line.
    """

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        context = arguments.pop(_CONTEXT)
        if context.invoked_subcommand is not None:
            return  # a group that does something by itself, too
        server = server_of(context)
        try:
            code = command(server, **_own(arguments))
        except (PeepError, ApiError, WrongSettings) as error:
            code, text = server.explain(error)
            complain(text)
        except UnicodeEncodeError as error:
            if error.reason != "surrogates not allowed":
                raise
            # No address can hold it; JSON, PEEP and what is printed have ways of their own for such octets.
            code = Exit.USAGE
            complain(f"{error.object} is not UTF-8 text")
        raise typer.Exit(code or 0)

    _, *own = inspect.signature(command).parameters.values()
    context = inspect.Parameter(_CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    _set_parameters(run, [*own, context])
    return run


def connecting(callback: Callable[..., None]) -> Callable[..., None]:
    """Give the program the same options, so that they can also come before the command."""

    @functools.wraps(callback)
    def run(**arguments: Any) -> None:
        callback(**_own(arguments))

    _set_parameters(run, list(inspect.signature(callback).parameters.values()))
    return run


def server_of(context: typer.Context) -> Server:
    """Return the server that the options name; those of the command override those before it."""
    given: dict[str, Any] = {}
    above = context.parent.params if context.parent is not None else {}
    for options in (context.find_root().params, above, context.params):
        given |= {name: options[name] for name in _OPTIONS if options.get(name) is not None}
    return Server(ConnectionOptions(**given))


def complain(text: str) -> None:
    """Print an error on standard error."""
    typer.echo(f"peepctl: {shown(text)}", err=True)


def _own(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name not in _OPTIONS}


def _set_parameters(function: Callable[..., None], own: list[inspect.Parameter]) -> None:
    # Typer reads the signature and the annotations, and does not follow `__wrapped__`.
    parameters = [*(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own), *_PARAMETERS]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
