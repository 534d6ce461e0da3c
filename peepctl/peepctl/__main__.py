"""The command line of `peepctl`: `peepctl --help` lists the commands."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

try:
    import typer
except ModuleNotFoundError:
    sys.exit("peepctl needs packages that come with Peep's extra `peepctl`: pip install 'peep[peepctl]'")

from peepctl.commands import (
    administrators,
    audit,
    compare,
    history,
    monitoring,
    moves,
    protocol,
    refusals,
    settings,
    store,
    users,
)
from peepctl.options import connecting
from peepctl.server import EXIT_CODES

NAME = "peepctl"

_WHERE = """\b
Where to connect and as whom, in order of precedence:
  the options above, before or after the command
  PEEPCTL_HOST, PEEPCTL_PORT, PEEPCTL_USER, PEEPCTL_TLS, PEEPCTL_CA_FILE,
    PEEPCTL_HTTP, PEEPCTL_PASSWORD or PEEPCTL_PASSWORD_FILE,
    PEEPCTL_TOKEN or PEEPCTL_TOKEN_FILE (an API token, for what uses HTTP)
  ~/.config/peep/peepctl.toml: host, port, user, tls, ca_file,
    http, password or password_file, token or token_file
  beside a peepctl up: its ports and ./data/admins, or those in PEEP_DATA_DIR
  beside the Debian package: /etc/peep/admins, which root can read
    (a password from there is sent to the address of that Peep alone)
  a prompt for the password, at a terminal"""
_EXITS = "\b\nExit codes:\n" + "\n".join(f"  {code:d}  {meaning}" for code, meaning in EXIT_CODES.items())


class _Commands(typer.core.TyperGroup):
    """The commands. Who leaves out the group of one is told it: suspend is refusals suspend."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        groups = [group for group, one in self.commands.items() if name in getattr(one, "commands", {})]
        if groups and name not in self.commands:
            ctx.fail(
                f"No such command {name!r}. Did you mean {', '.join(f'{one} {name}' for one in groups)}?"
            )
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name=NAME,
    cls=_Commands,
    help="Run, watch and change Peep, a POP3 server that is administered while it runs.",
    epilog=f"{_WHERE}\n\n{_EXITS}",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # they would show variables, passwords among them
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        from service_runtime import VERSION

        typer.echo(f"{NAME} {VERSION}")
        raise typer.Exit


@app.callback()
@connecting
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Take the options that come before a command."""


@app.command()
def up() -> None:
    """Run the whole system on this machine, without containers, until Ctrl-C.

    Settings are environment variables; all data are kept in PEEP_DATA_DIR (./data).
    """
    from peepctl.up.foreground import up as run_locally

    raise typer.Exit(run_locally())


@app.command("repair-store")
def repair_store(
    is_agreed: Annotated[bool, typer.Option("--yes", help="Repair without asking.")] = False,
) -> None:
    """Repair the data of a stopped peepctl up that its server cannot read.

    Shows what would be lost before it changes anything, and keeps a copy. The data are in PEEP_DATA_DIR
    (./data).
    """
    from peepctl.commands.repair import repair

    raise typer.Exit(repair(is_agreed))


app.command("stats")(monitoring.stats)
app.command("top")(monitoring.top)
app.command("history")(history.history)
app.command("health")(history.health)
app.command("who")(monitoring.who)
app.add_typer(monitoring.sessions_group(), name="sessions")
app.command("kick")(monitoring.kick)
app.command("slow-downs")(monitoring.slow_downs)
app.command("lift")(monitoring.lift)
app.add_typer(users.group(), name="users")
app.add_typer(refusals.group(), name="refusals")
app.add_typer(administrators.admins(), name="admins")
app.add_typer(administrators.tokens(), name="tokens")
app.add_typer(store.group(), name="store")
app.command("compare")(compare.compare_servers)
app.add_typer(moves.group(), name="move")
app.command("audit")(audit.audit)
app.command("get")(settings.get)
app.command("set")(settings.set_setting)
app.command("capabilities")(protocol.capabilities)
app.command("version")(protocol.version)
app.command("raw")(protocol.raw)
app.command("shell")(protocol.shell)


def _speak_plainly(command: Any) -> None:
    """Have texts name arguments as people call them, without Python's types (`list[str]`) and errors."""
    for one in getattr(command, "commands", {}).values():
        _speak_plainly(one)
    for parameter in command.params:
        parameter.process_value = _with_plain_errors(parameter.process_value)
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda ctx: None


def _with_plain_errors(process: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(process)
    def processed(*given: Any, **named: Any) -> Any:
        try:
            return process(*given, **named)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise

    return processed


@functools.cache
def _command() -> Any:
    command = typer.main.get_command(app)
    _speak_plainly(command)
    return command


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["--show-completion"] and len(sys.argv) == 3:
        # Typer would guess the shell even if one is named.
        os.environ[f"_{NAME.upper()}_COMPLETE"] = f"source_{sys.argv[2]}"
    _command()(prog_name=NAME)


if __name__ == "__main__":
    main()
