"""Write the tables of the reference page from the code that they describe.

`python tools/reference.py` renews each table; with `--check` it changes nothing, and exits with 1 if a table
is out of date.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from pydantic.fields import FieldInfo

from generated import renew, table, with_tables
from peep_gateway.protocol import commands as peep
from peepctl.__main__ import NAME, app
from peepctl.server import EXIT_CODES
from peepctl.sources import KEYS
from pop3_service.old_unique_ids import command as unique_ids
from pop3_service.protocol import commands as pop3
from service_runtime.settings import ALL_SETTINGS, SECRETS, variable
from state_api.app import create_app
from state_api.documentation import demanded_role
from state_api.routers.metrics import Numbers, StoreCollector
from state_store.credentials.authentication import Authenticator
from state_store.credentials.passwords import Passwords
from state_store.latency import histogram
from state_store.moves import MoveCounts
from state_store.records import Counters, HashCounts, Latencies, Settings
from state_store.refusals import RefusalCounts
from state_store.repository import StateRepository
from state_store.store_status import StoreStatus

PAGE = Path(__file__).parent.parent / "docs" / "reference.md"

_NAMES_OF_METRICS = {"counter": "{}_total", "info": "{}_info"}


def settings_table() -> str:
    """Return the table of environment variables."""
    fields = {name: field for settings in ALL_SETTINGS for name, field in settings.model_fields.items()}
    rows = (
        (_code(variable(name)), _default(field), _sentence(field.description or ""))
        for name, field in fields.items()
    )
    return table(("Variable", "Default", "Meaning"), rows)


def secrets_table() -> str:
    """Return the table of variables that name a file with a secret."""
    rows = ((_code(variable(name)), _code(variable(name) + "_FILE")) for name in SECRETS)
    return table(("Secret", "Read from the file named by"), rows)


def peep_commands_table() -> str:
    """Return the table of PEEP commands."""
    rows = (
        (
            _code(row.syntax),
            ", ".join(state.value for state in peep.State if state in row.states),
            row.reply.value,
            _code(f"-{row.negative_code.value}") if row.negative_code else "",
            _allowed(row),
            _sentence(row.summary),
        )
        for row in peep.COMMANDS
    )
    return table(("Command", "State", "Reply", "Own code", "Range", "What it does"), rows)


def pop3_commands_table() -> str:
    """Return the table of POP3 commands."""
    rows = (
        (
            _code(row.syntax),
            ", ".join(state.value for state in row.states),
            _sentence(row.summary),
            row.rfc,
        )
        for row in pop3.COMMANDS
    )
    return table(("Command", "State", "What it does", "Defined in"), rows)


def http_routes_table() -> str:
    """Return the table of HTTP routes."""
    rows = (
        (
            _code(f"{method.upper()} {path}"),
            _code(role) if (role := demanded_role(operation)) else "",
            ", ".join(sorted(operation["responses"])),
            _sentence(operation["summary"]),
        )
        for path, operations in _openapi()["paths"].items()
        for method, operation in operations.items()
    )
    return table(("Request", "Role", "Status", "What it does"), rows)


def metrics_table() -> str:
    """Return the table of Prometheus metrics."""
    rows = (
        (
            _code(_NAMES_OF_METRICS.get(family.type, "{}").format(family.name)),
            family.type,
            family.documentation,
        )
        for family in StoreCollector(_no_numbers()).collect()
    )
    return table(("Metric", "Type", "Meaning"), rows)


def _no_numbers() -> Numbers:
    latencies = Latencies(histogram("command", {}), histogram("login", {}))
    store = StoreStatus(0.0, 0.0, is_told=True)
    return Numbers(Counters(), Settings(), [], latencies, HashCounts(), MoveCounts(), store, RefusalCounts())


def peepctl_commands_table() -> str:
    """Return the table of `peepctl`'s commands."""
    rows = ((_code(usage), text) for usage, text in peepctl_commands(typer.main.get_command(app), NAME))
    return table(("Command", "What it does"), rows)


def peepctl_commands(command: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield each command below `command` as it is typed, with its help in one line."""
    if below := getattr(command, "commands", None):
        if command.invoke_without_command:
            yield path, " ".join((command.help or "").split())
        for name, one in below.items():
            yield from peepctl_commands(one, f"{path} {name}")
        return
    with command.make_context(path, [], resilient_parsing=True) as context:
        _, *arguments = command.collect_usage_pieces(context)
    # Click puts required arguments in braces, as if they were choices: `{USER}`, `{NETWORK}...`.
    words = [re.sub(r"[{}]", "", argument) for argument in arguments]
    yield " ".join([path, *words]), " ".join((command.help or "").split())


def peepctl_settings_table() -> str:
    """Return the table of the connection settings of `peepctl`."""
    rows = ((_code(f"PEEPCTL_{key.upper()}"), _code(key)) for key in KEYS)
    return table(("Variable", "In the settings file"), rows)


def peepctl_exit_codes_table() -> str:
    """Return the table of `peepctl`'s exit codes."""
    return table(("Code", "Meaning"), ((str(int(code)), meaning) for code, meaning in EXIT_CODES.items()))


def unique_ids_options_table() -> str:
    """Return the table of the options of `unique-ids import`."""
    rows = (
        (_code(_typed(name, options)), " ".join(_sentence(options["help"]).replace("%%", "%").split()))
        for name, options in unique_ids.ARGUMENTS.items()
    )
    return table(("Argument", "Meaning"), rows)


def _typed(name: str, options: Mapping[str, Any]) -> str:
    value = options.get("metavar")
    return f"[{value} ...]" if options.get("nargs") else f"{name} {value}" if value else name


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings_table,
    "secrets": secrets_table,
    "peep-commands": peep_commands_table,
    "pop3-commands": pop3_commands_table,
    "http-routes": http_routes_table,
    "metrics": metrics_table,
    "peepctl-commands": peepctl_commands_table,
    "peepctl-settings": peepctl_settings_table,
    "peepctl-exit-codes": peepctl_exit_codes_table,
    "unique-ids-options": unique_ids_options_table,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Renew or check the page; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the reference page's tables from the code.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a table differs")
    parser.add_argument("page", nargs="?", type=Path, default=PAGE, help="the page (docs/reference.md)")
    options = parser.parse_args(arguments)
    try:
        content = with_tables(options.page.read_text(encoding="utf-8"), TABLES)
    except ValueError as error:
        print(f"{options.page}: {error}", file=sys.stderr)
        return 1
    return renew({options.page: content}, only_check=options.check, remedy="tools/reference.py")


def _openapi() -> dict[str, Any]:
    repository, passwords = StateRepository("redis://localhost"), Passwords()  # connects to nothing here
    return create_app(repository, Authenticator(repository, passwords), passwords).openapi()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    # The value of a factory depends on the machine: the description explains it.
    if field.default_factory is not None:
        return "see there"
    value = field.default
    if isinstance(value, bool):
        value = int(value)
    return _code(str(value)) if value not in (None, "", [], {}) else "none"


def _allowed(command: peep.Command) -> str:
    if command.integer is None:
        return ""
    return f"{command.integer.allowed[0]} to {command.integer.allowed[-1]}"


def _sentence(text: str) -> str:
    # A text that begins with code, or with a name in capitals, stays as it is.
    return text[:1].upper() + text[1:]


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    sys.exit(main())
