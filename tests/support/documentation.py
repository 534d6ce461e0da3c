"""What the pages for operators tell them to type."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs"

_NAMED = re.compile(r"<!-- commands: ([^>]+) -->\n```sh\n(.*?)```", re.DOTALL)


def commands(page: str, name: str) -> str:
    """Return the shell commands that docs/`page` has below `<!-- commands: name -->`."""
    return dict(_NAMED.findall((PAGES / page).read_text(encoding="utf-8")))[name]


def names(page: str) -> list[str]:
    """Return the names of all commands on a page."""
    return [name for name, _ in _NAMED.findall((PAGES / page).read_text(encoding="utf-8"))]
