"""The real containers, built and started once for all tests of this folder."""

from collections.abc import Iterator

import pytest

from support.containers import Containers, require_engine
from support.debian_package import VERSION, PackageBuilder
from support.mail_servers import LAYOUTS, DeliveringContainers

__all__ = ["Containers", "containers", "delivering"]


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


@pytest.fixture(scope="session", params=LAYOUTS)
def delivering(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeliveringContainers]:
    """Do the same with three mail servers on the mail volume, once for each layout of the maildirs."""
    require_engine()
    containers = DeliveringContainers(tmp_path_factory.mktemp("pages"), request.param)
    containers.compose("build")
    try:
        containers.start()
        containers.add_users()
        yield containers
    finally:
        containers.remove()


@pytest.fixture(scope="session")
def builder() -> Iterator[PackageBuilder]:
    """Give a clean Debian with the project's files that makes the Debian package."""
    require_engine()
    builder = PackageBuilder()
    try:
        yield builder
    finally:
        builder.remove()


@pytest.fixture(scope="session")
def package(builder: PackageBuilder) -> str:
    """Make the package, once, and give its path in the builder."""
    return builder.make(VERSION)
