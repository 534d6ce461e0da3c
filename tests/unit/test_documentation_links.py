"""Links between the pages lead somewhere, and every page can be found from README."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_PLACE = re.compile(r"\]\(([^)#\s]*)#([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CODE = re.compile(r"```.*?```", re.DOTALL)


def linked(page: Path) -> list[Path]:
    """Return the files that a page links to, those of other hosts left out."""
    targets = _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    return [(page.parent / target).resolve() for target in targets if "://" not in target]


def places(page: Path) -> set[str]:
    """Return the names that the headings of a page have in links."""
    headings = _HEADING.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_place_leads_to_a_heading(page: Path) -> None:
    linked_places = _PLACE.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    lost = [
        (target, place)
        for target, place in linked_places
        if "://" not in target and place not in places((page.parent / target) if target else page)
    ]
    assert lost == []


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
