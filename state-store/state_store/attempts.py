"""The rule for wrong passwords in figures (P18), shared by the store's scripts and the in-memory twin."""

FREE_WRONG_PASSWORDS = 3
"""So many wrong passwords of one address are answered at once in any `WINDOW_SECONDS`."""

WINDOW_SECONDS = 60.0
FIRST_DELAY_SECONDS = 0.25
LONGEST_DELAY_SECONDS = 4.0

TICKET_SECONDS = 2.0
"""A waiting ticket that has not asked again for so long has lost its client, and its place."""

TURN_SECONDS = 15.0
"""A turn that has not been ended for so long belonged to a process that is gone."""


def delay_seconds(wrong_passwords: int) -> float:
    """Return how long the answer to the newest of so many wrong passwords within the window waits."""
    over = wrong_passwords - FREE_WRONG_PASSWORDS
    return 0.0 if over <= 0 else min(FIRST_DELAY_SECONDS * 2 ** (over - 1), LONGEST_DELAY_SECONDS)
