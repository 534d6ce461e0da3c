"""Lists of users with their password hashes, as other servers keep them: read line by line."""

import csv
import enum
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from peepctl.sources import WrongSettings

MAX_LINE_OCTETS = 16 * 1024
"""No honest line is longer; of a longer one nothing is kept."""

MAX_NAME_CHARACTERS = 128
MAX_HASH_CHARACTERS = 512

LINES_TO_RECOGNISE = 20

PLAIN_PASSWORDS = "Plain passwords are added by `peepctl users add --from FILE`, user:password a line"

VERIFIER = "peep_scram="
"""The extra field of a Dovecot passwd-file in which an export of ours keeps the verifier for SCRAM."""


class Format(enum.Enum):
    """The formats, by the names that `--format` takes."""

    PASSWD_FILE = "passwd-file"  # noqa: S105
    SHADOW = "shadow"
    HTPASSWD = "htpasswd"
    POSTFIX_ACCOUNTS = "postfix-accounts"
    CSV = "csv"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Entry:
    """A user of a list."""

    line: int
    username: str
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unusable:
    """A line that says of no user what his password is."""

    line: int
    username: str
    reason: str


_Fields = Sequence[str]
_NAME_COLUMNS = ("username", "user", "email", "mail", "address", "login", "name")
_HASH_COLUMNS = ("password_hash", "password", "hash", "passwd", "crypt")


class UserList:
    """The users of a file, one line at a time. `read` counts the octets that were read so far."""

    def __init__(self, file: BinaryIO, name: str, wanted: Format | None = None, domain: str = "") -> None:
        self._file = file
        self._name = name
        self._domain = domain
        self._columns: tuple[int, int] = (0, 1)
        self.octets = 0
        first = list(itertools.islice(self._lines(), LINES_TO_RECOGNISE))
        if wanted is None and sum(isinstance(line, Unusable) for _, line in first) * 2 > len(first):
            raise WrongSettings(
                f"{name} is no list of users: most of its first lines are not UTF-8, or too long; "
                "--format reads it all the same"
            )
        self.format = wanted or _recognised([line for _, line in first if isinstance(line, str)], name)
        self._numbered = itertools.chain(first, self._lines(len(first)))

    def __iter__(self) -> Iterator[Entry | Unusable]:
        """Yield a user, or why there is none, for each line that is not empty and no comment."""
        is_first = True
        for number, line in self._numbered:
            if isinstance(line, Unusable):
                yield line
                continue
            if not line.strip() or line.startswith("#"):
                continue
            fields = _SPLIT[self.format](line)
            if is_first and self._has_columns(fields, number):
                is_first = False
                continue
            is_first = False
            if self.format is Format.TABLE and re.fullmatch(r"[-+| ]+|\(\d+ rows?\)", line.strip()):
                continue
            yield self._entry(number, fields)

    def _lines(self, before: int = 0) -> Iterator[tuple[int, str | Unusable]]:
        for number in itertools.count(before + 1):
            octets = self._file.readline(MAX_LINE_OCTETS + 1)
            self.octets += len(octets)
            if not octets:
                return
            if len(octets) > MAX_LINE_OCTETS:
                self._skip_line(octets)
                yield number, Unusable(number, "", f"the line has more than {MAX_LINE_OCTETS:,} octets")
                continue
            try:
                yield number, octets.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                yield number, Unusable(number, "", "the line is not UTF-8")

    def _skip_line(self, octets: bytes) -> None:
        while octets and not octets.endswith(b"\n"):
            octets = self._file.readline(MAX_LINE_OCTETS)
            self.octets += len(octets)

    def _has_columns(self, fields: _Fields, number: int) -> bool:
        """Return whether the first line names the columns; keep which ones are wanted."""
        if self.format not in (Format.CSV, Format.TABLE):
            return False
        names = [name.strip().lower() for name in fields]
        name = next((names.index(one) for one in _NAME_COLUMNS if one in names), None)
        password_hash = next((names.index(one) for one in _HASH_COLUMNS if one in names), None)
        if name is None and password_hash is None:
            return False
        if name is None or password_hash is None:
            raise WrongSettings(
                f"{self._name}, line {number}: it names columns, but not one of "
                f"{', '.join(_NAME_COLUMNS if name is None else _HASH_COLUMNS)}"
            )
        self._columns = (name, password_hash)
        return True

    def _entry(self, number: int, fields: _Fields) -> Entry | Unusable:
        if len(fields) <= max(self._columns):
            return Unusable(number, "", f"it is no line of the format {self.format.value}")
        username, password_hash = (fields[column].strip() for column in self._columns)
        if self._domain and "@" not in username:
            username = f"{username}@{self._domain}"
        if self.format is Format.PASSWD_FILE:
            password_hash += _verifier(fields)
        # Its first colon is missing: the hash stands in the name's place, and names are shown.
        if self.format is Format.PASSWD_FILE and re.search(r"\{[\w.-]+\}|\$\w+\$", username):
            return Unusable(number, "", "there is no `:` between the name and the hash")
        if len(username) > MAX_NAME_CHARACTERS:
            return Unusable(number, "", f"the name has more than {MAX_NAME_CHARACTERS} characters")
        if len(password_hash) > MAX_HASH_CHARACTERS:
            return Unusable(number, username, f"the hash has more than {MAX_HASH_CHARACTERS} characters")
        return Entry(number, username, password_hash)


def _verifier(fields: _Fields) -> str:
    words = fields[-1].split() if len(fields) > 2 else []
    return "".join(f" {word.removeprefix(VERIFIER)}" for word in words if word.startswith(VERIFIER))


def _by_colons(line: str) -> _Fields:
    return line.split(":")


def _by_bars(line: str) -> _Fields:
    return line.split("|")


def _by_commas(line: str) -> _Fields:
    try:
        return next(csv.reader([line], delimiter=";" if line.count(";") > line.count(",") else ","), [])
    except csv.Error:
        return []


def _by_tabs(line: str) -> _Fields:
    return line.split("\t" if "\t" in line else "|")


_SPLIT: dict[Format, Callable[[str], _Fields]] = {
    Format.PASSWD_FILE: _by_colons,
    Format.SHADOW: _by_colons,
    Format.HTPASSWD: _by_colons,
    Format.POSTFIX_ACCOUNTS: _by_bars,
    Format.CSV: _by_commas,
    Format.TABLE: _by_tabs,
}


def _recognised(lines: Sequence[str], name: str) -> Format:
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    if not lines:
        return Format.PASSWD_FILE
    first = lines[0]
    is_headed = {cell.strip().lower() for cell in re.split(r"[\t|,;]", first)} & {
        *_NAME_COLUMNS,
        *_HASH_COLUMNS,
    }
    if "\t" in first or (is_headed and "|" in first):
        return Format.TABLE
    if re.match(r"[^:|,]+\|[{$]", first):
        return Format.POSTFIX_ACCOUNTS
    if is_headed or re.match(r'"?[^:,;"]+"?[,;]"?[{$]', first):
        return Format.CSV
    if ":" in first:
        fields = [len(line.split(":")) for line in lines]
        return (
            Format.HTPASSWD
            if set(fields) == {2}
            else Format.SHADOW
            if set(fields) == {9}
            else Format.PASSWD_FILE
        )
    raise WrongSettings(
        f"{name}: its format is none that is known; --format says which it is. {PLAIN_PASSWORDS}"
    )
