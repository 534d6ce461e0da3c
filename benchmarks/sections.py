"""The interface between `bench.py` and the modules that measure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from progress import Progress

Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | int | bool | None"


@dataclass(frozen=True, slots=True)
class Options:
    """The duration and the means of measurements.

    `folder` is empty at the start of a section, and removed after it.
    """

    folder: Path
    rounds: int
    seconds: float
    """How long one round of a measurement lasts."""

    is_quick: bool
    programs: Path
    """The folder of programs built or unpacked for all sections: popbench, canned, other servers."""

    progress: Progress
    server_core: int = 0
    load_core: int = 1
    storm_users: int = 10_000
    """The users who log in for the first time in the storm after a restart."""

    earlier: Mapping[str, Json] = field(default_factory=dict)
    """The section's figures of a run that this one goes on with."""

    keep: Callable[["SectionResult"], None] = lambda _found: None
    """Takes what a section has found so far, so that a run that is ended early does not lose it."""


@dataclass(frozen=True, slots=True)
class SectionResult:
    """The result of a section: Markdown for the report, and figures for the JSON file and the pictures."""

    text: str
    figures: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report that can be measured alone."""

    name: str
    title: str
    measure: Callable[[Options], SectionResult]
