"""`get` and `set`: the settings that administrators change while the server runs."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Annotated

import typer

from peep_client import NegativeReply, Peep, Settings
from peepctl.options import AsJson, complain, connected
from peepctl.output import duration, say, say_json, say_list
from peepctl.server import Exit, Server
from peepctl.sources import WrongSettings


class Setting(enum.Enum):
    """The settings by the names that are typed."""

    MAX_CONNECTIONS = "max-connections"
    TIMEOUT = "timeout"
    MAIL_DIRECTORY = "mail-directory"


_FIELDS = {
    Setting.MAX_CONNECTIONS: "max_connections",
    Setting.TIMEOUT: "timeout_seconds",
    Setting.MAIL_DIRECTORY: "mail_directory",
}
_CHANGES: dict[Setting, Callable[[Peep, str], None]] = {
    Setting.MAX_CONNECTIONS: lambda peep, value: peep.set_max_connections(int(value)),
    Setting.TIMEOUT: lambda peep, value: peep.set_timeout(int(value)),
    Setting.MAIL_DIRECTORY: lambda peep, value: peep.set_mail_directory(value),
}
_COMMENCEMENTS = {Setting.MAX_CONNECTIONS: "c=", Setting.TIMEOUT: "t="}
_OUT_OF_RANGE = {5, 7}


@connected
def get(
    server: Server,
    setting: Annotated[
        Setting | None,
        typer.Argument(metavar="SETTING", help="One setting; without it, all are shown.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the settings, or one of them."""
    with server.connect() as peep:
        settings = peep.settings()
    wanted = list(Setting) if setting is None else [setting]
    values: dict[Setting, int | str] = {one: getattr(settings, _FIELDS[one]) for one in wanted}
    if as_json:
        say_json({_FIELDS[one]: value for one, value in values.items()})
    elif setting is not None:
        say(str(values[setting]))
    else:
        say_list([(one.value, _in_words(one, settings)) for one in wanted])


@connected
def set_setting(
    server: Server,
    setting: Annotated[Setting, typer.Argument(metavar="SETTING", help="The setting.", show_default=False)],
    value: Annotated[
        str,
        typer.Argument(
            metavar="VALUE", help="A number of connections, seconds (0: no timeout), or an absolute path."
        ),
    ],
) -> Exit:
    """Change a setting.

    It takes effect in all POP3 processes within a second.
    """
    if setting is not Setting.MAIL_DIRECTORY:
        _require_number(setting, value)
    with server.connect() as peep:
        try:
            _CHANGES[setting](peep, value)
        except NegativeReply as error:
            if error.code not in _OUT_OF_RANGE:
                raise
            complain(f"the server answers -{error.code}: {_range_in_words(peep, setting, value)}")
            return Exit.REFUSED
    say(f"{setting.value} is {value} now")
    return Exit.DONE


def _require_number(setting: Setting, text: str) -> None:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(text) <= 128):
        raise WrongSettings(f"{setting.value} must be a whole number, not {text!r}")


def _range_in_words(peep: Peep, setting: Setting, value: str) -> str:
    allowed = peep.capabilities().integers.get(_COMMENCEMENTS[setting])
    words = f"the range is {allowed[0]} to {allowed[-1]}" if allowed else "cap? does not list the range"
    return f"{value} is out of range for {setting.value}; {words}"


def _in_words(setting: Setting, settings: Settings) -> str:
    if setting is not Setting.TIMEOUT:
        return str(getattr(settings, _FIELDS[setting]))
    seconds = settings.timeout_seconds
    if seconds == 0:
        return "0 (none)"
    return f"{seconds} seconds" + (f" ({duration(seconds)})" if seconds >= 60 else "")
