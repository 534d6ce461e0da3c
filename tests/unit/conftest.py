"""Fixtures of tests of one module at a time."""

from pathlib import Path

import pytest


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    """Give an empty maildir."""
    for folder in ("new", "cur"):
        (tmp_path / "alice" / folder).mkdir(parents=True)
    return tmp_path / "alice"
