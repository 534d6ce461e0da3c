"""A clock for what is given one."""


class StoppedClock:
    """Stands still until a test moves its `seconds`."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds
