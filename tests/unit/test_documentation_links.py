"""Links between the pages lead somewhere, and every page can be found from README."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_CODE = re.compile(r"```.*?```", re.DOTALL)


def linked(page: Path) -> list[Path]:
    """Return the files that a page links to, those of other hosts left out."""
    targets = _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    return [(page.parent / target).resolve() for target in targets if "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    assert [target for target in linked(page) if not target.exists()] == []


def test_every_page_can_be_reached_from_readme() -> None:
    reached, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            todo += [target for target in linked(page) if target.exists()]
    assert {page for page in PAGES if page.parent != ROOT} <= reached
