"""Services that tests start as they want them, and the order of the files."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.pop3_process import Pop3Process, Start

LONG_SECONDS = 180
"""Far more than the longest of their tests take, even on a busy machine."""

LONG = {
    "test_installed.py",
    "test_killed_import.py",
    "test_peepctl_up.py",
    "test_documented_commands.py",
    "test_lease_simulation.py",
    "test_redis_kinds.py",
    "test_socket_activation.py",
    "test_peepctl_up_failing.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files first that take long: the processes that share the files then end together.

    Their tests, which start many programs, may take longer than others.
    """
    items.sort(key=lambda item: item.path.name not in LONG)
    for item in items:
        if item.path.name in LONG:
            item.add_marker(pytest.mark.timeout(LONG_SECONDS))


@pytest.fixture
def start(redis_url: str, tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts a POP3 service of the test's own."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(Pop3Process(redis_url, tmp_path, **settings))
