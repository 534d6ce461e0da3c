"""Makes the imports of a start cheaper; they are most of what a process costs until it serves."""

import contextlib
import gc
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quick_imports(*left_out: str) -> Iterator[None]:
    """Import what stands in the block faster, and the packages `left_out` not at all.

    Libraries that try to import one of these go on as if it were not installed.
    """
    for package in left_out:
        sys.modules[package] = None  # type: ignore[assignment]
    # Pydantic would read the metadata of every installed package in search of plugins.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    # What is imported stays: the collector would go over ever more objects, and once more at the end.
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
