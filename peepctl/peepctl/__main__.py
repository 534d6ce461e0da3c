"""The people's command: `peepctl --help` lists what it can do."""

from __future__ import annotations

from typing import Annotated

import typer

from peepctl.up import up as run_locally
from service_runtime import VERSION

app = typer.Typer(
    name="peepctl",
    help="Run Peep, a POP3 server that can be watched and changed while it runs.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"peepctl {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end."),
    ] = False,
) -> None:
    """Take the options that belong to no command."""


@app.command()
def up() -> None:
    """Run the whole system on this machine, without containers, until Ctrl-C.

    Settings are environment variables; PEEP_DATA_DIR says where everything is kept (./data).
    """
    raise typer.Exit(run_locally())


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
