"""Services that a test starts as it wants them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.pop3_process import Pop3Process, Start


@pytest.fixture
def start(redis_url: str, tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts a POP3 service of the test's own."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(Pop3Process(redis_url, tmp_path, **settings))
