"""Imports go one way: protocols know nobody, services not each other, only state_store knows Redis."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "line_server": "line-server",
    "service_runtime": "service-runtime",
    "state_store": "state-store",
    "pop3_client": "pop3-service",
    "pop3_service": "pop3-service",
    "peep_gateway": "peep-gateway",
    "state_api": "state-api",
    "peep_client": "peepctl",
    "peepctl": "peepctl",
}
SERVICES = {"pop3_service", "peep_gateway", "state_api"}
PEOPLE = {"peepctl", "peep_client"}
CLIENTS = {"peep_client", "pop3_client"}
IMPURE = {"asyncio", "os", "redis", "time", "socket", "logging"}
FORBIDDEN = {
    "line_server": SERVICES | PEOPLE | CLIENTS | {"state_store"},
    "service_runtime": SERVICES | PEOPLE,
    "state_store": set(PACKAGES) - {"state_store"},
    "pop3_client": set(PACKAGES) - {"pop3_client"},
    "pop3_service": SERVICES - {"pop3_service"} | PEOPLE,
    "peep_gateway": SERVICES - {"peep_gateway"} | PEOPLE,
    "state_api": SERVICES - {"state_api"} | PEOPLE,
    "peep_client": set(PACKAGES) - {"peep_client"},
    "peepctl": set(),
}


def imported_modules(source: str, package: str) -> Iterator[str]:
    """Yield the full names of all that a module of `package` imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, node.module] if node.module else above)
            # `from package import module` reaches the module as well as the package.
            yield from (f"{base}.{alias.name}" for alias in node.names)


def violations(source: str, package: str) -> list[str]:
    """Return which imports of a module that lives in `package` go the wrong way."""
    own = package.split(".")[0]
    protocol = f"{own}.protocol"
    is_pure = (package + ".").startswith(protocol + ".")
    found = []
    for module in imported_modules(source, package):
        top = module.split(".")[0]
        leaves_protocol = top in PACKAGES and not (module + ".").startswith(protocol + ".")
        if (
            top in FORBIDDEN[own]
            or (top == "redis" and own != "state_store")
            or (is_pure and (top in IMPURE or leaves_protocol))
        ):
            found.append(f"{package} imports {module}")
    return found


def modules_of(package: str) -> list[tuple[str, Path]]:
    """Return every module's file, with the dotted name of the package that it lives in."""
    root = ROOT / PACKAGES[package]
    return [
        (".".join(file.parent.relative_to(root).parts), file)
        for file in sorted((root / package).rglob("*.py"))
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_package_imports_only_what_it_may(package: str) -> None:
    modules = modules_of(package)
    assert modules, f"no module of {package} found"
    found = [line for home, file in modules for line in violations(file.read_text("utf-8"), home)]
    assert found == []


def test_every_package_root_is_known_here() -> None:
    roots = {file.parent.name for file in ROOT.glob("*/*/__init__.py") if file.parent.parent.name != "tests"}
    assert roots == set(PACKAGES)


def test_all_protocols_are_found() -> None:
    for service in ("pop3_client", "pop3_service", "peep_gateway", "peep_client"):
        assert any(home == f"{service}.protocol" for home, _ in modules_of(service))


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("pop3_service.protocol", "import asyncio"),
        ("pop3_service.protocol", "import os.path"),
        ("pop3_service.protocol", "def f():\n    from time import monotonic"),
        ("pop3_service.protocol", "from logging import getLogger"),
        ("pop3_service.protocol", "from pop3_service.maildir import scan"),
        ("pop3_service.protocol", "from pop3_service import connection"),
        ("pop3_service.protocol", "from .. import connection"),
        ("pop3_service.protocol", "from ..maildir import scan"),
        ("pop3_service.protocol.deeper", "import socket"),
        ("peep_gateway.protocol", "from state_store.records import Settings"),
        ("peep_gateway.protocol", "from pop3_service.protocol import replies"),
        ("pop3_service", "import peep_gateway.connection"),
        ("peep_gateway", "from state_api.app import create_app"),
        ("state_api.routers", "from pop3_service.maildir import scan"),
        ("state_api", "import redis.asyncio as store"),
        ("peepctl", "from redis import Redis"),
        ("line_server", "from state_store.errors import StateError"),
        ("state_store.redis", "from service_runtime import VERSION"),
        ("service_runtime", "import pop3_service"),
        ("state_store", "if True:\n    import pop3_service"),
        ("peep_gateway", "import peep_client"),
        ("peep_client", "from service_runtime import VERSION"),
        ("pop3_client", "from pop3_service.protocol import multiline"),
        ("peep_client.protocol", "import asyncio"),
        ("peep_client.protocol", "from peep_client import client"),
    ],
)
def test_planted_violation_is_found(package: str, source: str) -> None:
    assert len(violations(source, package)) == 1


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("pop3_service.protocol", "from pop3_service.protocol import replies\nimport enum"),
        ("pop3_service.protocol", "from . import replies\nfrom .maildrop import Maildrop"),
        ("pop3_service", "import asyncio, os\nfrom pop3_service.protocol.session import Session"),
        ("pop3_service", "from state_store.records import Settings\nfrom line_server import lines"),
        ("state_store", "import redis.asyncio"),
        ("peepctl", "from service_runtime import supervisor"),
        ("peepctl", "import peep_client"),
        ("peepctl", "import pop3_client"),
        ("pop3_service", "from pop3_client import Pop3Client"),
    ],
)
def test_import_that_is_allowed_is_left_alone(package: str, source: str) -> None:
    assert violations(source, package) == []
