"""Lists that people give: the lines of a file, or of standard input."""

import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from peepctl.sources import WrongSettings

STANDARD_INPUT = "-"

LONGEST_LINE = 4096

BYTE_ORDER_MARK = "\ufeff"
"""What spreadsheets and editors of Windows put before UTF-8."""


def name_of(source: str) -> str:
    """Return what messages call the file `source`, or standard input for `-`."""
    return "standard input" if source == STANDARD_INPUT else str(_path(source))


def lines_of(source: str, *, are_secret: bool = False) -> Iterator[tuple[int, str]]:
    """Yield the numbers and texts of the lines in the file `source`, or on standard input for `-`.

    Empty lines and those that begin with `#` are skipped. Raises `WrongSettings`, with the number of a line
    that is wrong and without its content; `are_secret` has it raised before the first line if others can read
    the file.
    """
    name = name_of(source)
    with ExitStack() as stack:
        try:
            is_input = source == STANDARD_INPUT
            file = sys.stdin if is_input else stack.enter_context(_path(source).open(encoding="utf-8"))
            if are_secret:
                require_secrecy(source)
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise WrongSettings(f"{name}, line {number}: longer than {LONGEST_LINE:,} characters")
                text = line.rstrip("\r\n")
                if number == 1:
                    text = text.removeprefix(BYTE_ORDER_MARK)
                if text and not text.startswith("#"):
                    yield number, text
        except UnicodeDecodeError:
            raise WrongSettings(f"{name} is not UTF-8 text") from None
        except OSError as error:
            raise WrongSettings(f"{name} cannot be read: {error.strerror}") from None


def require_secrecy(source: str) -> None:
    """Raise `WrongSettings` for a file with passwords that others than its owner can read."""
    if source == STANDARD_INPUT:
        return
    path = _path(source)
    status = path.stat()
    if stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) & 0o077:
        raise WrongSettings(f"{path} contains passwords and others can read it: chmod 600 {path}")


def _path(source: str) -> Path:
    return Path(source).expanduser()
