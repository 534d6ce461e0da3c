"""The output of `make bench`: results.json, and the part of the report between two markers."""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final, cast

import pictures
from ratios import table
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

    def add(self, section: Section, result: SectionResult, machine: list[str]) -> None:
        """Add a section's result, and write everything: later sections may fail."""
        self._sections[section.name] = {
            "title": section.title,
            "date": str(date.today()),
            "machine": cast("list[Json]", machine),
            "text": result.text,
            "figures": result.figures,
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps({"sections": self._sections}, indent=1) + "\n")

    def figures(self, name: str) -> dict[str, Json]:
        """Return a section's figures; an empty dictionary if it was never measured."""
        section = self._sections.get(name)
        return cast("dict[str, Json]", section["figures"]) if section else {}

    def bars(self) -> list[dict[str, Json]]:
        """Return the ratios of all sections that have any, in the order of the report."""
        found = [self.figures(name).get("bars", []) for name in self._order]
        return [cast("dict[str, Json]", bar) for bars in found for bar in cast("list[Json]", bars)]

    def draw(self) -> None:
        """Draw the pictures that there are figures for."""
        if bars := self.bars():
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
        rows = [
            [
                str(bar["label"]),
                f"{bar['median']:.2f}",
                f"{bar['smallest']:.2f} to {bar['largest']:.2f}",
                f"{bar['goal']:g}",
            ]
            for bar in self.bars()
        ]
        head = ["Dovecot's cost to Peep's", "Median", "Smallest to largest", "Goal"]
        return f"## Ratios to Dovecot\n\n![Ratios to Dovecot](comparison.png)\n\n{table(head, rows)}\n"

    def _section_text(self, name: str) -> str:
        section = self._sections[name]
        machine = "\n".join(f"* {line}" for line in cast("list[str]", section["machine"]))
        return f"## {section['title']}\n\nMeasured on {section['date']}:\n\n{machine}\n\n{section['text']}\n"
