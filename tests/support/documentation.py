"""What the pages for operators tell them to type."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs"

_NAMED = re.compile(r"<!-- commands: ([^>]+) -->\n```sh\n(.*?)```", re.DOTALL)


def commands(page: str, name: str) -> str:
    """Return the shell commands that docs/`page` has below `<!-- commands: name -->`."""
    return _named(page)[name]


def names(page: str) -> list[str]:
    """Return the names of all commands on a page."""
    return list(_named(page))


def _named(page: str) -> dict[str, str]:
    return dict(_NAMED.findall((PAGES / page).read_text(encoding="utf-8")))
