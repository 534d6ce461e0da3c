"""The pictures of the report, drawn from its figures."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PEEP_COLOUR: Final = "#2f6f9f"
OTHER_COLOUR: Final = "#b8860b"
GREY: Final = "#8a8a8a"
_DOTS_AN_INCH: Final = 150

# The content of the JSON file, whose names mypy does not know.
Figures = Mapping[str, Any]


def draw_comparison(bars: Sequence[Figures], path: Path) -> None:
    """Draw a bar for each ratio to Dovecot, with its smallest and largest round."""
    figure = _new_figure(8.4, 1.5 + 0.42 * len(bars))
    axes = figure.subplots()
    places = range(len(bars), 0, -1)
    medians = [bar["median"] for bar in bars]
    spread = [
        [bar["median"] - bar["smallest"] for bar in bars],
        [bar["largest"] - bar["median"] for bar in bars],
    ]
    axes.barh(places, [value - 1 for value in medians], left=1, height=0.6, color=PEEP_COLOUR)
    axes.errorbar(medians, places, xerr=spread, fmt="none", ecolor="#1b3f5a", elinewidth=1.2, capsize=2.5)
    axes.vlines(1, 0.4, len(bars) + 0.6, color=GREY, linewidth=1.2)
    for place, bar in zip(places, bars, strict=True):
        end = max(bar["largest"], 1)
        axes.text(end * 1.06, place, f"{bar['median']:.1f}\u00d7", va="center", fontsize=10, color="#222222")
    axes.set_yticks(list(places), [bar["label"] for bar in bars])
    _ratio_axis(axes, max(bar["largest"] for bar in bars))
    axes.set_title("What Dovecot needs for what Peep needs 1 for", loc="left", fontsize=13, pad=24)
    axes.text(
        0,
        1.02,
        "CPU time of the whole server, waits, memory; beside the fastest of Dovecot's versions and modes",
        transform=axes.transAxes,
        fontsize=9,
        color="#555555",
        in_layout=False,
    )
    figure.savefig(path, dpi=_DOTS_AN_INCH)


def _ratio_axis(axes: Axes, largest: float) -> None:
    axes.set_xscale("log")
    ticks = [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if tick <= largest * 1.5]
    axes.set_xticks(ticks, [f"{tick:g}\u00d7" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(0.8, largest * 1.6)
    axes.grid(axis="x", color="#e6e6e6")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def draw_growth(parts: Mapping[str, Figures], path: Path) -> None:
    """Draw a plot for each part that was measured of growth, with the expected law as a dashed line."""
    figure = _new_figure(11, 8)
    drawings: dict[str, Callable[[Axes, Figures], None]] = {
        "workers": _draw_workers,
        "connections": _draw_connections,
        "maildrop": _draw_maildrop,
        "memory": _draw_memory,
    }
    for axes, (name, draw) in zip(figure.subplots(2, 2).flat, drawings.items(), strict=True):
        if name not in parts:  # the run was ended before it
            axes.set_visible(False)
            continue
        draw(axes, parts[name])
        axes.grid(color="#ececec")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8.5)
    figure.savefig(path, dpi=_DOTS_AN_INCH)


def _draw_workers(axes: Axes, part: Figures) -> None:
    points = part["points"]
    workers = [point["workers"] for point in points]
    axes.bar(workers, _column(points, "sessions_a_second"), width=0.5, color=PEEP_COLOUR, label="measured")
    _law(axes, workers, _column(points, "expected"), "expected: n times, less the clients' share")
    axes.set_xticks(workers)
    axes.set(title="Throughput and workers", xlabel="workers", ylabel="check sessions a second")
    axes.set_ylim(0, 1.35 * max(_column(points, "expected") + _column(points, "sessions_a_second")))


def _draw_connections(axes: Axes, part: Figures) -> None:
    points = part["points"]
    counts = _column(points, "connections")
    for load, colour, what in (
        ("paced", PEEP_COLOUR, "half of capacity"),
        ("saturated", OTHER_COLOUR, "all of capacity"),
    ):
        for quantile, line in (("p50_ms", "o-"), ("p99_ms", "^-")):
            label = f"{what}, {quantile.removesuffix('_ms')}"
            values = [point[load][quantile] for point in points]
            axes.plot(counts, values, line, color=colour, alpha=1 if line == "o-" else 0.6, label=label)
    paced = points[0]["paced"]["p50_ms"]
    _law(axes, [counts[0], counts[-1]], [paced, paced], "expected: constant; connections / capacity")
    _law(axes, counts, _column(points, "expected_saturated_ms"), "")
    axes.set(
        xscale="log",
        yscale="log",
        title="Latency and connections",
        xlabel="connections",
        ylabel="ms a session",
    )


def _draw_maildrop(axes: Axes, part: Figures) -> None:
    for (name, points), colour in zip(part["servers"].items(), (PEEP_COLOUR, OTHER_COLOUR), strict=True):
        messages = _column(points, "messages")
        axes.plot(messages, _column(points, "cpu_microseconds"), "o", color=colour, label=name)
        _law(axes, messages, _column(points, "expected"), f"expected: a + b messages ({name})")
    axes.set(
        xscale="log",
        yscale="log",
        title="A login and its maildrop",
        xlabel="messages",
        ylabel="CPU a login, us",
    )


def _draw_memory(axes: Axes, part: Figures) -> None:
    for (name, points), colour in zip(part["servers"].items(), (PEEP_COLOUR, OTHER_COLOUR), strict=True):
        sessions = _column(points, "sessions")
        axes.plot(
            sessions, [octets / 1e6 for octets in _column(points, "octets")], "o", color=colour, label=name
        )
        expected = [octets / 1e6 for octets in _column(points, "expected")]
        _law(axes, sessions, expected, f"expected: a + b sessions ({name})")
    axes.set(title="Memory and sessions", xlabel="idle sessions", ylabel="MB, whole server")
    axes.set_ylim(bottom=0)


def _law(axes: Axes, x: Sequence[float], y: Sequence[float], label: str) -> None:
    axes.plot(x, y, "--", color=GREY, linewidth=1.4, zorder=1, label=label or "_nolegend_")


def _column(points: Sequence[Figures], name: str) -> list[float]:
    return [point[name] for point in points]


def _new_figure(width: float, height: float) -> Figure:
    mpl.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10.5, "axes.titleweight": "bold"})
    return Figure(figsize=(width, height), facecolor="white", layout="constrained")
