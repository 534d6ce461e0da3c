"""Growth: how cost, latency and memory depend on the size of the load."""

import shutil
from collections.abc import Callable
from typing import cast

from sections import Json, Options, Section, SectionResult
from studies import growth_connections, growth_maildrop, growth_memory, growth_workers

PARTS: dict[str, tuple[str, Callable[[Options], SectionResult]]] = {
    "workers": ("Throughput and workers", growth_workers.measure),
    "connections": ("Latency and connections", growth_connections.measure),
    "maildrop": ("A login and the size of its maildrop", growth_maildrop.measure),
    "memory": ("Memory and sessions", growth_memory.measure),
}


def measure(options: Options) -> SectionResult:
    """Measure all parts, one after the other."""
    texts: list[str] = []
    limits: list[Json] = []
    figures: dict[str, Json] = {"limits": limits}
    for name, (title, measure_part) in PARTS.items():
        options.progress.begin(f"growth: {name}")
        result = measure_part(options)
        texts.append(f"### {title}\n\n{result.text}\n")
        figures[name] = result.figures
        limits += cast("list[Json]", result.figures.get("limits", []))
        options.keep(_result(texts, figures))
        shutil.rmtree(options.folder)
        options.folder.mkdir()
    return _result(texts, figures)


def _result(texts: list[str], figures: dict[str, Json]) -> SectionResult:
    return SectionResult("![What grows with what](growth.png)\n\n" + "".join(texts), figures)


SECTION = Section("growth", "Growth", measure)
