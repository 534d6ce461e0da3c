"""Progress on standard error: what is being measured, and the time left."""

import sys
import time


class Progress:
    """Counts the steps of a section and estimates the time left from the steps so far."""

    def __init__(self) -> None:
        self._section = ""
        self._steps = 0
        self._done = 0
        self._began = time.monotonic()

    def begin(self, section: str) -> None:
        """Begin a section whose steps are not known yet."""
        self._section, self._steps, self._done = section, 0, 0
        self._began = time.monotonic()
        self.say("preparing")

    def plan(self, steps: int) -> None:
        """Announce more steps."""
        if self._done == 0:
            self._began = time.monotonic()  # what came before was preparation, and says nothing of the steps
        self._steps += steps

    def step(self, what: str) -> None:
        """Report that the next step begins."""
        left = ""
        if self._done:
            seconds = (time.monotonic() - self._began) / self._done * (self._steps - self._done)
            left = (
                f", about {seconds:.0f} s left" if seconds < 120 else f", about {seconds / 60:.0f} min left"
            )
        self._done += 1
        self._steps = max(self._steps, self._done)  # what is measured anew was not planned
        self.say(f"{self._done}/{self._steps} {what}{left}")

    def say(self, what: str) -> None:
        """Print a line for the present section."""
        prefix = f"{self._section}: " if self._section else ""
        print(f"bench: {prefix}{what}", file=sys.stderr, flush=True)
