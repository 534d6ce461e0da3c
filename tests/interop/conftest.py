"""One service with a certificate for all tests of a file, and 200 lifelike messages for each test."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import Authority
from support.clients import ClientHome, LifelikeMaildrop
from support.pop3_process import Pop3Process, pop3_with_certificate


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Give the authority that the clients are told to trust."""
    return Authority()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Pop3Process]:
    """Give a service that takes plain text, STLS and implicit TLS."""
    folder = tmp_path_factory.mktemp("pop3")
    with pop3_with_certificate(folder, authority) as process:
        yield process


@pytest.fixture
def maildrop(service: Pop3Process) -> Iterator[LifelikeMaildrop]:
    """Give a user of the service with 200 lifelike messages."""
    maildrop = LifelikeMaildrop(service)
    yield maildrop
    maildrop.discard()


@pytest.fixture
def home(authority: Authority) -> Iterator[ClientHome]:
    """Give a client's home, outside the tests' own folder, which nobody else may enter."""
    with tempfile.TemporaryDirectory(prefix="peep-client-") as name:
        yield ClientHome(Path(name), authority)
