"""What `bench.py` and the modules that measure say to each other."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from progress import Progress

Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | int | bool | None"


@dataclass(frozen=True, slots=True)
class Options:
    """How long to measure, and with what.

    `folder` is empty at the start of a section, and removed after it.
    """

    folder: Path
    rounds: int
    seconds: float
    """How long one round of a measurement lasts."""

    is_quick: bool
    programs: Path
    """The folder of what was built or unpacked for all sections: popbench, canned, other servers."""

    progress: Progress
    server_core: int = 0
    load_core: int = 1


@dataclass(frozen=True, slots=True)
class SectionResult:
    """What one section found: Markdown for the report, and figures for the JSON file and the pictures."""

    text: str
    figures: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report that can be measured by itself."""

    name: str
    title: str
    measure: Callable[[Options], SectionResult]
