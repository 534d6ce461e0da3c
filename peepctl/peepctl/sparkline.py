"""Figures over time as a row of blocks."""

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.-=+*%#"
"""For terminals without Unicode."""


def blocks_for(encoding: str | None) -> str:
    """Return the blocks that an output with this encoding can show."""
    return BLOCKS if (encoding or "").lower().startswith("utf") else PLAIN_BLOCKS


def sparkline(figures: Sequence[float | None], width: int, blocks: str = BLOCKS) -> str:
    """Return the last `width` figures as blocks; the highest is a full block, an unknown one a space."""
    figures = figures[-width:] if width > 0 else []
    highest = max((figure for figure in figures if figure is not None), default=0.0)
    return "".join(" " if figure is None else _block(figure, highest, blocks) for figure in figures)


def _block(figure: float, highest: float, blocks: str) -> str:
    return blocks[min(int(figure / highest * len(blocks)), len(blocks) - 1) if highest > 0 else 0]


def thinned(figures: Sequence[float | None], most: int) -> list[float | None]:
    """Return at most so many figures, each the largest of as many that follow one another."""
    size = max(1, -(-len(figures) // most))
    groups = (figures[first : first + size] for first in range(0, len(figures), size))
    return [max((one for one in group if one is not None), default=None) for group in groups]
