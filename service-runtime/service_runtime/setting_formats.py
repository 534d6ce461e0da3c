"""The formats of settings: each is a type whose validator turns a variable's text into a value.

Validators raise `ValueError` with what the text must be. None quotes the text: it may hold a password.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from pop3_client.address import Pop3Address
from service_runtime.maildir_layout import MaildirLayout
from state_store.redis import address

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST_PATH_OCTETS = 509
"""`m?` answers with the path in one line of at most 512 octets."""

_PEEP_ARGUMENT = re.compile(r"[!-~]{1,128}")
_ADMINISTRATOR_PASSWORD = re.compile(r"[!-~][ -~]{0,127}")


def administrators_without_peep(administrators: Mapping[str, str]) -> list[str]:
    """Return the names whose passwords contain a space, which the PEEP command `a` cannot carry."""
    return sorted(name for name, password in administrators.items() if not _PEEP_ARGUMENT.fullmatch(password))


def _redis_url(text: str) -> str:
    address.parse(text)
    return text


def _administrators(text: str) -> dict[str, str]:
    pairs = [pair.strip().partition(":") for pair in re.split(r"[,\r\n]", text) if pair.strip()]
    for name, _, password in pairs:
        if not (_PEEP_ARGUMENT.fullmatch(name) and _ADMINISTRATOR_PASSWORD.fullmatch(password)):
            raise ValueError(
                "must be name:password pairs separated by commas or line ends, in printable ASCII: names "
                "without spaces, passwords not beginning with one, each of at most 128 characters"
            )
    return {name: password for name, _, password in pairs}


def _absolute_path(text: str) -> str:
    if not (text.startswith("/") and text.isprintable() and len(text.encode()) <= LONGEST_PATH_OCTETS):
        raise ValueError(f"must be an absolute path of at most {LONGEST_PATH_OCTETS} printable octets")
    return text


def _absolute_paths(text: str) -> list[str]:
    paths = list(filter(None, text.split(",")))
    if not all(path.startswith("/") for path in paths):
        raise ValueError("must be absolute paths separated by commas")
    return paths


def _maildir_layout(text: str) -> str:
    MaildirLayout(text)
    return text


def _networks(text: str) -> list[_Network]:
    try:
        return [ipaddress.ip_network(network) for network in _words(text)]
    except ValueError:
        raise ValueError("must be addresses or networks separated by commas, as 10.0.0.0/8,::1") from None


def _old_server(text: str) -> str:
    if not Pop3Address.parse(text).is_private:
        raise ValueError("would send passwords in the clear: pop3s://HOST or pop3://HOST?stls does not")
    return text


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _from_text(parse: Callable[[str], object]) -> BeforeValidator:
    # Code may also pass a value that needs no parsing.
    return BeforeValidator(lambda given: parse(given) if isinstance(given, str) else given)


Port = Annotated[int, Field(ge=0, le=65535)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
Administrators = Annotated[dict[str, str], _from_text(_administrators)]
AbsolutePath = Annotated[str, AfterValidator(_absolute_path)]
AbsolutePaths = Annotated[list[str], _from_text(_absolute_paths)]
Layout = Annotated[str, AfterValidator(_maildir_layout)]
OldServer = Annotated[str, AfterValidator(_old_server)]
Networks = Annotated[list[_Network], _from_text(_networks)]
