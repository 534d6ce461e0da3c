"""The real containers, built and started once for all tests of this folder."""

from collections.abc import Iterator

import pytest

from support.containers import Containers, require_engine

__all__ = ["Containers", "containers"]


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    """Build the images, start all containers, and remove them and their volumes at the end."""
    require_engine()
    containers = Containers()
    containers.compose("build")
    try:
        containers.start()
        yield containers
    finally:
        containers.remove()
