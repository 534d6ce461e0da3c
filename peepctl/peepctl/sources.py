"""The settings of each source: options, environment, settings file."""

import difflib
import stat
import tomllib
from collections.abc import Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MAX_PORT = 65535

KEYS: Mapping[str, type] = {
    "host": str,
    "port": int,
    "user": str,
    "password": str,
    "password_file": str,
    "token": str,
    "token_file": str,
    "tls": bool,
    "ca_file": str,
    "http": str,
    "timeout": int,
}
"""The settings and their types: the keys of the settings file, and `PEEPCTL_X` in the environment."""

_NUMBERS = {"port": ("port", MAX_PORT), "timeout": ("timeout", 3600)}
"""What to call the settings that are numbers, and the largest."""

_ENVIRONMENT = "the environment"
_KINDS = {str: "a text in quotes", int: "a number", bool: "true or false"}


class WrongSettings(Exception):
    """A setting or an argument cannot be used; the text is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """The settings that one source gives; None for those that it leaves out."""

    name: str
    """Names the source in messages."""
    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = None
    password_file: str | None = None
    token: str | None = None
    token_file: str | None = None
    tls: bool | None = None
    ca_file: str | None = None
    http: str | None = None
    timeout: int | None = None
    """Seconds."""

    def place_of(self, key: str) -> str:
        """Return what to name as the place of one of its settings."""
        return _variable(key) if self.name == _ENVIRONMENT else self.name


def source(name: str, **content: Any) -> Source:
    """Return a source, with a port that is part of the host moved to `port`. Raises `WrongSettings`.

    An address of the HTTP API names the host too, unless that is given: a password beside it is for it.
    """
    if content.get("http") and not content.get("host"):
        content["host"] = _host_of(content["http"])
    content["host"], port = _host_and_port(content.get("host"), name)
    if content.get("port") is None:
        content["port"] = port
    for key, (what, most) in _NUMBERS.items():
        if (number := content.get(key)) is not None and not 1 <= number <= most:
            raise WrongSettings(f"{name}: the {what} {number} is not between 1 and {most}")
    return Source(name, **content)


def from_environment(environment: Mapping[str, str]) -> Source:
    """Return the settings in the variables `PEEPCTL_X`; empty variables count as unset."""
    found: dict[str, Any] = {}
    for key, kind in KEYS.items():
        name = _variable(key)
        if text := environment.get(name):
            found[key] = (
                _switch(text, name) if kind is bool else _number(key, text, name) if kind is int else text
            )
    for secret in ("password", "token"):
        if secret in found and f"{secret}_file" in found:
            name = _variable(secret)
            raise WrongSettings(f"{name} and {name}_FILE are both set; give one of them")
    return source(_ENVIRONMENT, **found)


def from_file(chosen: str | None, environment: Mapping[str, str]) -> Source:
    """Return the settings in the file `chosen`, or in the default file if there is one."""
    path = Path(chosen).expanduser() if chosen else _default_file(environment)
    if chosen is None and not path.exists():
        return Source(str(path))
    try:
        content = tomllib.loads(read(path))
    except tomllib.TOMLDecodeError as error:
        raise WrongSettings(f"{path}: {error}") from None
    for key, value in content.items():
        _check_key(path, key, value)
    for secret in ("password", "token"):
        if secret in content and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise WrongSettings(f"{path} contains a {secret} and others can read it: chmod 600 {path}")
    return source(str(path), **content)


def port(text: str, name: str) -> int:
    """Return the port in `text`; `name` is its source in the message of `WrongSettings`."""
    return _number("port", text, name)


def read(path: Path) -> str:
    """Return a file's text. Raises `WrongSettings` that says why it cannot be read."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise WrongSettings(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongSettings(f"{path} is not UTF-8 text") from None


def _number(key: str, text: str, name: str) -> int:
    what, most = _NUMBERS[key]
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= most:
        return int(text)
    raise WrongSettings(f"{name}: {text or 'nothing'!r} is not a {what}, a number from 1 to {most}")


def _variable(key: str) -> str:
    return f"PEEPCTL_{key.upper()}"


def _default_file(environment: Mapping[str, str]) -> Path:
    folder = environment.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(folder).expanduser() / "peep" / "peepctl.toml"


def _host_and_port(text: str | None, name: str) -> tuple[str | None, int | None]:
    # `host`, `host:port`, `[::1]:port`, `[::1]` or `::1`
    if not text:
        return None, None
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, port(rest[1:], name) if rest else None
    # Two colons are an IPv6 address without brackets, which leaves no room for a port.
    if text.count(":") == 1:
        host, _, rest = text.partition(":")
        return host, port(rest, name)
    return text, None


def _host_of(url: str) -> str | None:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return None
    return f"[{host}]" if host and ":" in host else host


def _switch(text: str, name: str) -> bool:
    try:
        return ConfigParser.BOOLEAN_STATES[text.lower()]
    except KeyError:
        raise WrongSettings(f"{name}={text}: must be 1 or 0") from None


def _check_key(path: Path, key: str, value: object) -> None:
    if key not in KEYS:
        close = difflib.get_close_matches(key, KEYS, 1)
        known = f"did you mean {close[0]}?" if close else f"the settings are {', '.join(KEYS)}"
        raise WrongSettings(f"{path}: {key} is not a setting; {known}")
    # Compared by identity: a bool is an int to `isinstance`, but not a port.
    if type(value) is not KEYS[key]:
        raise WrongSettings(f"{path}: {key} must be {_KINDS[KEYS[key]]}")
