"""Optional dependencies of libraries that a program does without."""

import sys


def leave_out(*packages: str) -> None:
    """Let imports of `packages` fail as if they were not installed, so that a start does not pay for them.

    To be called before what would import them. The libraries try these imports, and go on without.
    """
    for package in packages:
        sys.modules[package] = None  # type: ignore[assignment]
