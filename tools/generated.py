"""Files that are generated from code: their tables, and how they are renewed or checked."""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

_TABLE = re.compile(r"(<!-- table: ([a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in lines)


def with_tables(page: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """Return `page` with each table renewed between `<!-- table: NAME -->` and `<!-- end -->`.

    Raises `ValueError` unless the page has each table once, and no other.
    """
    found = [place[2] for place in _TABLE.finditer(page)]
    if sorted(found) != sorted(tables):
        raise ValueError(f"the page must hold each of these tables once: {', '.join(tables)}")
    return _TABLE.sub(lambda place: place[1] + tables[place[2]]() + place[3], page)


def renew(wanted: Mapping[Path, str], *, only_check: bool, remedy: str) -> int:
    """Write the files whose content differs from `wanted`, or only name them; return the exit code.

    With `only_check`, each file that differs is printed with the `remedy`, and the exit code is then 1.
    """
    outdated = [
        path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in outdated:
        if only_check:
            print(f"{path} is out of date: run {remedy}", file=sys.stderr)
        else:
            path.write_text(wanted[path], encoding="utf-8")
    return 1 if only_check and outdated else 0
