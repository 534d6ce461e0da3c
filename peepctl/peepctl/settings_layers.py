"""What the environment and the settings file say about where to connect."""

from __future__ import annotations

import difflib
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_PORT = 65535

KEYS: Mapping[str, type] = {
    "host": str,
    "port": int,
    "user": str,
    "password": str,
    "password_file": str,
    "tls": bool,
    "ca_file": str,
}
"""What the settings file may hold; the environment has the same as `PEEPCTL_X`."""

_KINDS = {str: "a text in quotes", int: "a number", bool: "true or false"}
_SWITCH = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


class WrongSettings(Exception):
    """What was given cannot be used; the text is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What one place says; None where it says nothing."""

    source: str
    """The place in words, where it holds a password that of the password."""
    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = None
    password_file: str | None = None
    tls: bool | None = None
    ca_file: str | None = None


def layer(source: str, **content: Any) -> Layer:
    """Return a layer, a port that stands in the host taken out of it; raises `WrongSettings`."""
    host, port = host_and_port(content.pop("host", None), source)
    given = content.pop("port", None)
    if given is not None and not 1 <= given <= MAX_PORT:
        raise WrongSettings(f"{source}: the port {given} is not between 1 and {MAX_PORT}")
    return Layer(source, host=host, port=port if given is None else given, **content)


def from_environment(environment: Mapping[str, str]) -> Layer:
    """Return what the variables `PEEPCTL_X` say; an empty one says nothing."""
    found: dict[str, Any] = {}
    for key, kind in KEYS.items():
        name = f"PEEPCTL_{key.upper()}"
        text = environment.get(name)
        if text:
            found[key] = _switch(text, name) if kind is bool else port(text, name) if kind is int else text
    if "password" in found and "password_file" in found:
        raise WrongSettings("PEEPCTL_PASSWORD and PEEPCTL_PASSWORD_FILE are both set; give one of them")
    return layer("PEEPCTL_PASSWORD" if "password" in found else "the environment", **found)


def from_file(chosen: str | None, environment: Mapping[str, str]) -> Layer:
    """Return what the settings file says: the `chosen` one, which must be there, or the usual one."""
    path = Path(chosen).expanduser() if chosen else default_file(environment)
    if chosen is None and not path.exists():
        return Layer(str(path))
    try:
        content = tomllib.loads(read(path))
    except tomllib.TOMLDecodeError as error:
        raise WrongSettings(f"{path}: {error}") from None
    for key, value in content.items():
        _check_key(path, key, value)
    if "password" in content and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise WrongSettings(f"{path} holds a password and others can read it: chmod 600 {path}")
    return layer(str(path), **content)


def default_file(environment: Mapping[str, str]) -> Path:
    """Return where the settings file lies unless `--config` says otherwise."""
    folder = environment.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(folder).expanduser() / "peep" / "peepctl.toml"


def host_and_port(text: str | None, source: str) -> tuple[str | None, int | None]:
    """Return the two parts of `host`, `host:port`, `[::1]:port` or `::1`."""
    if not text:
        return None, None
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, port(rest[1:], source) if rest else None
    # Two colons are an IPv6 address without brackets, which leaves no room for a port.
    if text.count(":") == 1:
        host, _, rest = text.partition(":")
        return host, port(rest, source)
    return text, None


def port(text: str, source: str) -> int:
    """Return a port that was given as text."""
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_PORT:
        return int(text)
    raise WrongSettings(f"{source}: {text or 'nothing'!r} is no port, a number from 1 to {MAX_PORT}")


def read(path: Path) -> str:
    """Return a file's text; raises `WrongSettings` that says why it cannot be had."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise WrongSettings(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongSettings(f"{path} is no UTF-8 text") from None


def _switch(text: str, name: str) -> bool:
    if text.lower() not in _SWITCH:
        raise WrongSettings(f"{name}={text}: must be 1 or 0")
    return _SWITCH[text.lower()]


def _check_key(path: Path, key: str, value: object) -> None:
    if key not in KEYS:
        close = difflib.get_close_matches(key, KEYS, 1)
        known = f"do you mean {close[0]}?" if close else f"there are {', '.join(KEYS)}"
        raise WrongSettings(f"{path}: {key} is no setting; {known}")
    # By identity: True is an int to Python, and no port.
    if type(value) is not KEYS[key]:
        raise WrongSettings(f"{path}: {key} must be {_KINDS[KEYS[key]]}")
