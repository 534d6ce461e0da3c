"""Whether a client still waits for its answer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Presence:
    """A client that may leave while it waits; calls back the code that makes it wait."""

    __slots__ = ("_on_leave", "is_gone")

    def __init__(self) -> None:
        self.is_gone = False
        self._on_leave: Callable[[], object] | None = None

    def leave(self) -> None:
        """Take note that the client is gone or will send nothing more."""
        self.is_gone = True
        if self._on_leave is not None:
            self._on_leave()

    @contextmanager
    def watched(self, on_leave: Callable[[], object]) -> Iterator[None]:
        """Have `on_leave` called when the client leaves within this block."""
        before, self._on_leave = self._on_leave, on_leave
        try:
            yield
        finally:
            self._on_leave = before
