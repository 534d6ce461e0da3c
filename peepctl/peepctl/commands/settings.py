"""`get` and `set`: the settings that administrators change while the server runs."""

import dataclasses
import enum
import re
from collections.abc import Callable, Iterator
from typing import Annotated
from urllib.parse import urlencode

import typer

from peep_client import NegativeReply, Peep, Settings
from peep_client.protocol.errors import INVALID_PATH
from peepctl.http_api import ApiError, ApiRefused, HttpApi
from peepctl.moments import local_second
from peepctl.options import AsJson, complain, connected
from peepctl.output import duration, say, say_json, say_list
from peepctl.questions import is_agreed
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

AUDIT = "/v1/audit"


def _completed(incomplete: str) -> list[str]:
    return [one.value for one in Setting if one.value.startswith(incomplete)]


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
    setting: Annotated[
        str | None,
        typer.Argument(
            metavar="SETTING",
            help="The setting; with --undo it may be the ID of a change, as peepctl audit shows it.",
            show_default=False,
            autocompletion=_completed,
        ),
    ] = None,
    value: Annotated[
        str | None,
        typer.Argument(
            metavar="VALUE",
            help="A number of connections, seconds (0: no timeout), or an absolute path.",
            show_default=False,
        ),
    ] = None,
    undo: Annotated[
        bool,
        typer.Option("--undo", help="Undo the last change, of SETTING or of any, or the one with the ID."),
    ] = False,
    even_if_changed: Annotated[
        bool, typer.Option("--even-if-changed", help="Undo also if another value is in force by now.")
    ] = False,
    is_sure: Annotated[
        bool, typer.Option("--yes", "-y", help="Undo, or save a dangerous value, without asking.")
    ] = False,
) -> Exit:
    """Change a setting, or undo a change.

    It takes effect in all POP3 processes within a second. A limit below the connections that are open, or
    below a tenth of the one in force, a timeout under a minute and another mail directory have to be
    confirmed. --undo shows the change and asks, unless it is named by its ID; it also undoes a change that
    was itself an --undo. It talks to the HTTP API.
    """
    if undo:
        return _undo(server, setting, even_if_changed=even_if_changed, is_sure=is_sure)
    return _set(server, _setting_of(setting), value, is_sure=is_sure)


def _setting_of(name: str | None) -> Setting:
    try:
        return Setting(name)
    except ValueError:
        names = ", ".join(one.value for one in Setting)
        raise WrongSettings(f"{name or 'no name'} is no setting; there are {names}") from None


def _set(server: Server, setting: Setting, value: str | None, *, is_sure: bool) -> Exit:
    if value is None:
        raise WrongSettings(f"which value? set {setting.value} VALUE sets it, get {setting.value} shows it")
    if setting is not Setting.MAIL_DIRECTORY:
        _require_number(setting, value)
    with server.connect() as peep:
        allowed = _range(peep, setting)
        if allowed and int(value) not in allowed:
            complain(_range_in_words(allowed, setting, value))
            return Exit.REFUSED
        if not (is_sure or _is_agreed(_reasons(peep, setting, value))):
            return Exit.REFUSED
        try:
            _CHANGES[setting](peep, value)
        except NegativeReply as error:
            if error.code == INVALID_PATH:
                return _set_over_http(server, setting, value)
            if error.code not in _OUT_OF_RANGE:
                raise
            complain(f"the server answers -{error.code}: {_range_in_words(allowed, setting, value)}")
            return Exit.REFUSED
    say(f"{setting.value} is {value} now")
    return Exit.DONE


def _set_over_http(server: Server, setting: Setting, value: str) -> Exit:
    """Ask for the same over the HTTP API, which says what PEEP's `-6` cannot: who refuses it, and why."""
    try:
        with server.api() as api:
            api.patch("/v1/settings?confirm=true", {_FIELDS[setting]: value})
    except ApiRefused as error:
        for reason in error.reasons or [str(error)]:
            complain(f"{setting.value} cannot be {value}: {reason}")
        return Exit.REFUSED
    except ApiError as error:
        complain(f"the server answers -{INVALID_PATH}: {value} cannot be the {setting.value}")
        complain(f"its log says which process refused it and why; the HTTP API could not be asked: {error}")
        return Exit.REFUSED
    say(f"{setting.value} is {value} now")
    return Exit.DONE


def _reasons(peep: Peep, setting: Setting, value: str) -> list[str]:
    """Return why a value has to be confirmed."""
    if value.startswith("-"):
        return []
    # Imported here because few commands need it.
    from state_store.dangers import dangers

    wanted = value if setting is Setting.MAIL_DIRECTORY else int(value)
    now, open_connections = dataclasses.asdict(peep.settings()), peep.counters().current_connections
    return list(dangers({_FIELDS[setting]: wanted}, now, open_connections).values())


def _is_agreed(reasons: list[str]) -> bool:
    return not reasons or is_agreed(
        "Save it all the same?",
        f"{'; '.join(reasons)}. Nothing is changed: --yes does it all the same",
        reasons=[f"{reason}." for reason in reasons],
    )


def _undo(server: Server, named: str | None, *, even_if_changed: bool, is_sure: bool) -> Exit:
    with server.api() as api:
        is_id = named is not None and re.fullmatch("[0-9]+-[0-9]+", named) is not None
        act = api.get(f"{AUDIT}/{named}") if is_id else _last_change(api, field_of(named))
        if not (is_sure or is_id or _is_meant(api, act)):
            return Exit.REFUSED
        query = {"even_if_changed": str(even_if_changed).lower(), "confirm": str(is_sure).lower()}
        path = f"{AUDIT}/{act['id']}/undo"
        try:
            api.post(f"{path}?{urlencode(query)}", None)
        except ApiRefused as error:
            if error.kind == "changed-again":
                complain(f"{_name_of(act)} is not {act['new']} any more: --even-if-changed undoes it")
                return Exit.REFUSED
            if error.kind != "needs-confirmation":
                raise
            if not _is_agreed(error.reasons):
                return Exit.REFUSED
            api.post(f"{path}?{urlencode(query | {'confirm': 'true'})}", None)
    say(f"{_name_of(act)} is {act['old']} again (it was {act['new']}, set by {act['who'] or '-'})")
    return Exit.DONE


def _last_change(api: HttpApi, field: str | None) -> dict[str, str]:
    """Return the newest change of this setting, or of any, that had a value before it."""
    for act in _changes(api, field):
        return act
    raise ApiError(f"no change of {'a setting' if field is None else _typed(field)} is in the audit")


def _changes(api: HttpApi, field: str | None, before: str = "") -> Iterator[dict[str, str]]:
    wanted = {"action": "settings.change", "object": field, "before": before}
    query = {name: value for name, value in wanted.items() if value}
    for page in api.pages(AUDIT, query, "before"):
        yield from (act for act in page["acts"] if act["object"] in _FIELDS.values() and act["old"])


def _is_meant(api: HttpApi, act: dict[str, str]) -> bool:
    """Say what would be undone, and whether it was an undo itself; ask at a terminal."""
    what = f"{_name_of(act)} from {act['new']} back to {act['old']}"
    whose = f"{act['new']} was set by {act['who'] or '-'} at {local_second(act['at'])}"
    earlier = next(_changes(api, act["object"], act["id"]), None)
    if earlier is not None and (earlier["old"], earlier["new"]) == (act["new"], act["old"]):
        whose += f", which undid the change before: this would set {act['old']} again"
    return is_agreed(
        f"Set {what}? ({whose})",
        f"it would set {what} ({whose}). Nothing is changed: --yes does it",
    )


def field_of(name: str | None) -> str | None:
    """Return the name that the API and the audit have for a setting; theirs may be given too."""
    return None if name is None else name if name in _FIELDS.values() else _FIELDS[_setting_of(name)]


def _typed(field: str) -> str:
    return next((one.value for one, internal in _FIELDS.items() if internal == field), field)


def _name_of(act: dict[str, str]) -> str:
    return _typed(act["object"])


def _require_number(setting: Setting, text: str) -> None:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(text) <= 128):
        raise WrongSettings(f"{setting.value} must be a whole number, not {text!r}")


def _range(peep: Peep, setting: Setting) -> range | None:
    """Return the values that `cap?` lists; None where it lists none."""
    commencement = _COMMENCEMENTS.get(setting)
    return None if commencement is None else peep.capabilities().integers.get(commencement)


def _range_in_words(allowed: range | None, setting: Setting, value: str) -> str:
    words = f"the range is {allowed[0]} to {allowed[-1]}" if allowed else "cap? does not list the range"
    return f"{value} is out of range for {setting.value}; {words}"


def _in_words(setting: Setting, settings: Settings) -> str:
    if setting is not Setting.TIMEOUT:
        return str(getattr(settings, _FIELDS[setting]))
    seconds = settings.timeout_seconds
    if seconds == 0:
        return "0 (none)"
    return f"{seconds} seconds" + (f" ({duration(seconds)})" if seconds >= 60 else "")
