"""How many functions Python calls for a piece of work: the same number on a slow or busy machine."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class FunctionCalls:
    """How many there were, those of functions in C included, once the block has ended."""

    number: int = 0


@contextmanager
def function_calls() -> Iterator[FunctionCalls]:
    """Count the calls that the block makes in this thread; calls that C makes of C do not show."""
    found = FunctionCalls()

    def count(_: FrameType, event: str, __: object) -> None:
        found.number += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        yield found
    finally:
        sys.setprofile(None)
