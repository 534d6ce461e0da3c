"""The output of `make bench`: results.json, and the part of the report between two markers."""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final, cast

import pictures
from ratios import LARGEST_SPREAD, Ratio, figure, table
from sections import Json, Section, SectionResult

BEGIN: Final = "<!-- `make bench` writes what follows -->"
END: Final = "<!-- `make bench` wrote what precedes -->"


class Report:
    """The results of all sections; a section that is measured again replaces its earlier result.

    `order` names the sections, in the order of the report.
    """

    def __init__(self, folder: Path, order: Sequence[str]) -> None:
        self._folder = folder
        self._order = order
        self._path = folder / "results.json"
        self._sections: dict[str, dict[str, Json]] = {}
        if self._path.exists():
            self._sections = json.loads(self._path.read_text())["sections"]

    def add(self, section: Section, result: SectionResult, machine: list[str], *, is_whole: bool) -> None:
        """Add a section's result, as far as it goes, and write everything: later sections may fail."""
        self._sections[section.name] = {
            "title": section.title,
            "date": str(date.today()),
            "machine": cast("list[Json]", machine),
            "text": result.text,
            "figures": result.figures,
            "is_whole": is_whole,
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps({"sections": self._sections}, indent=1) + "\n")

    def figures(self, name: str) -> dict[str, Json]:
        """Return a section's figures; an empty dictionary if it was never measured."""
        section = self._sections.get(name)
        return cast("dict[str, Json]", section["figures"]) if section else {}

    def earlier(self, name: str, machine: list[str]) -> dict[str, Json]:
        """Return a section's figures if they are of today and of this machine, else an empty dictionary."""
        section = self._sections.get(name)
        is_same = section and (section["date"], section["machine"]) == (str(date.today()), machine)
        return self.figures(name) if is_same else {}

    def is_settled(self, name: str, machine: list[str]) -> bool:
        """Return whether a section was measured whole, today on this machine, and its rounds agree."""
        is_whole = bool(self.earlier(name, machine)) and self._sections[name].get("is_whole")
        return bool(is_whole) and not self.restless([name])

    def bars(self) -> list[dict[str, Json]]:
        """Return the ratios of all sections that have any, in the order of the report."""
        return self._all("bars", self._order)

    def restless(self, names: Sequence[str]) -> list[str]:
        """Return the rows with a goal in these sections whose rounds spread too far, and how far."""
        return [
            f"{bar['label']}: {_ratio(bar)}, {_ratio(bar).spread:.0%}"
            for bar in self._all("bars", names)
            if _is_restless(bar)
        ]

    def _all(self, kind: str, names: Sequence[str]) -> list[dict[str, Json]]:
        found = [self.figures(name).get(kind, []) for name in names]
        return [cast("dict[str, Json]", one) for some in found for one in cast("list[Json]", some)]

    def draw(self) -> None:
        """Draw the pictures that there are figures for."""
        if bars := [bar for bar in self.bars() if not _is_restless(bar)]:
            pictures.draw_comparison(bars, self._folder / "comparison.png")
        if growth := self.figures("growth"):
            pictures.draw_growth(cast("dict[str, dict[str, Json]]", growth), self._folder / "growth.png")

    def write(self) -> None:
        """Write the sections between the markers of the report."""
        path = self._folder / "README.md"
        known = path.read_text() if path.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
        before, after = known.partition(BEGIN)[0], known.partition(END)[2]
        parts = [self._goals(), *(self._section_text(name) for name in self._order if name in self._sections)]
        path.write_text(f"{before}{BEGIN}\n\n{''.join(parts)}{END}{after}")

    def _goals(self) -> str:
        if not self.bars():
            return ""
        machine = "\n".join(f"* {line}" for line in cast("list[str]", self._first_section()["machine"]))
        rows = [_bar_row(bar) for bar in self.bars()]
        head = [
            "Dovecot's cost to Peep's",
            "Dovecot",
            "Median",
            "Smallest to largest",
            "Goal",
            "Met",
            "Bound",
        ]
        text = (
            f"## Goals\n\n![Ratios to Dovecot](comparison.png)\n\n{machine}\n\n{table(head, rows, texts=2)}"
        )
        if limits := self._all("limits", self._order):
            head = ["What shall be small", "Measured", "At most", "Met"]
            text += "\n" + table(head, [_limit_row(limit) for limit in limits])
        return text + "\n"

    def _first_section(self) -> dict[str, Json]:
        return next(self._sections[name] for name in self._order if self.figures(name).get("bars"))

    def _section_text(self, name: str) -> str:
        section = self._sections[name]
        machine = "\n".join(f"* {line}" for line in cast("list[str]", section["machine"]))
        return f"## {section['title']}\n\nMeasured on {section['date']}:\n\n{machine}\n\n{section['text']}\n"


def _ratio(bar: dict[str, Json]) -> Ratio:
    return Ratio(*(float(cast("float", bar[name])) for name in ("median", "smallest", "largest")))


def _is_restless(bar: dict[str, Json]) -> bool:
    return bool(bar["goal"]) and _ratio(bar).spread > LARGEST_SPREAD


def _bar_row(bar: dict[str, Json]) -> list[str]:
    ratio = _ratio(bar)
    goal, bound = (cast("float", bar.get(name) or 0) for name in ("goal", "bound"))
    is_restless = _is_restless(bar)
    met = f"not told: rounds spread over {ratio.spread:.0%}" if is_restless else _met(ratio.median >= goal)
    return [
        str(bar["label"]),
        str(bar.get("dovecot") or ""),
        "" if is_restless else f"{ratio.median:.2f}",
        f"{ratio.smallest:.2f} to {ratio.largest:.2f}",
        f"{goal:g}" if goal else "",
        met if goal else "",
        figure(bound) if bound else "",
    ]


def _limit_row(limit: dict[str, Json]) -> list[str]:
    value, most = (cast("float", limit[name]) for name in ("value", "limit"))
    return [str(limit["label"]), figure(value), f"{most:g}", _met(value <= most)]


def _met(is_met: bool) -> str:
    return "yes" if is_met else "no"
