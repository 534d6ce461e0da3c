"""What the pages for operators tell them to type."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs"

_NAMED = re.compile(r"<!-- commands: ([^>]+) -->\n```sh\n(.*?)```", re.DOTALL)


def commands(page: str, name: str) -> str:
    """Return the shell commands that docs/`page` has below `<!-- commands: name -->`."""
    return _named(page)[name]


def on_ports(script: str, pop3: int | str, http: int | str) -> str:
    """Return a script that asks POP3 and HTTP at the ports they have, not at those that the pages name."""
    return script.replace("127.0.0.1:1110", f"127.0.0.1:{pop3}").replace(
        "127.0.0.1:8110", f"127.0.0.1:{http}"
    )


def names(page: str) -> list[str]:
    """Return the names of all commands on a page."""
    return list(_named(page))


def _named(page: str) -> dict[str, str]:
    return dict(_NAMED.findall((PAGES / page).read_text(encoding="utf-8")))
