"""What all property tests share."""

from collections.abc import Iterator

import pytest

from support.patience import patience_with_the_store


@pytest.fixture(autouse=True, scope="module")
def patient_store() -> Iterator[None]:
    """Let the shared server answer late. For a module: examples of one test share its fixtures."""
    with patience_with_the_store():
        yield
