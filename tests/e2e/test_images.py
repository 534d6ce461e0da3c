"""What our three images are, and what is not in them."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.conftest import Containers
from service_runtime import VERSION
from support.containers import require_engine, run_docker

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

SERVICES = ("pop3-service", "peep-gateway", "state-api")

# Files that only compilers, installers and debuggers need, and bytecode that depends on dates.
NEEDLESS = """
import os, struct, sys


def section_names(elf):
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    entry, _, number = struct.unpack_from("<HHH", elf, 0x3A)
    begin, octets = struct.unpack_from("<QQ", elf, table + number * entry + 0x18)
    return elf[begin : begin + octets]


for folder, _, names in os.walk(sys.prefix):
    for path in (os.path.join(folder, name) for name in names):
        with open(path, "rb") as file:
            octets = file.read()
        if (
            path.endswith((".pyx", ".pxd", ".c", ".h"))
            or "/site-packages/pip" in path
            or (path.endswith(".so") and b".debug_info" in section_names(octets))
            or (path.endswith(".pyc") and not octets[4] & 1)
        ):
            print(path)
"""


# As the official image of Python is; the one that the engine has may be another.
BASE_WITHOUT_BYTECODE = b"""
FROM python:3.11-slim-bookworm
RUN find /usr -name '*.pyc' -delete
"""

COMPILED_AT_EACH_START = """
import importlib, os, sys


for name in sys.argv[1:]:
    importlib.import_module(name)
for spec in (getattr(module, "__spec__", None) for module in list(sys.modules.values())):
    if spec is not None and (spec.origin or "").endswith(".py") and not os.path.exists(spec.cached):
        print(spec.origin)
"""

STARTED = ("pop3_service.service", "peep_gateway.service", "state_api.service")
CHECKED = ("pop3_service.health.check", "peep_gateway.health", "state_api.health")


def configuration(containers: Containers, service: str) -> dict[str, Any]:
    """Return what the image of a service says about itself."""
    image = containers.inspect(service, ".Image")
    found: dict[str, Any] = json.loads(containers.docker("inspect", "--format", "{{json .Config}}", image))
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_image_starts_and_is_checked_without_a_shell_and_as_nobody(
    containers: Containers, service: str
) -> None:
    said = configuration(containers, service)
    command = ["/opt/venv/bin/python", "-m", service.replace("-", "_")]
    assert said["Entrypoint"] == command
    assert said["Healthcheck"]["Test"] == ["CMD", *command, "health"]
    assert said["User"] == "10001:10001"


@pytest.mark.parametrize("service", SERVICES)
def test_image_is_labelled(containers: Containers, service: str) -> None:
    labels = configuration(containers, service)["Labels"]
    told = {
        name.removeprefix("org.opencontainers.image."): label
        for name, label in labels.items()
        if name.startswith("org.opencontainers.image.")
    }
    assert told.keys() >= {"title", "description", "licenses", "version", "revision", "created", "source"}
    assert (told["licenses"], told["version"]) == ("MIT", VERSION)


def test_image_holds_nothing_that_only_building_and_debugging_need(containers: Containers) -> None:
    python = ("/opt/venv/bin/python", "-c", NEEDLESS)
    assert containers.compose("exec", "--no-TTY", "pop3-service", *python) == ""


@pytest.fixture
def runtime_on_base_without_bytecode() -> Iterator[str]:
    """Build what our three images have in common on such a base, and give its tag."""
    require_engine()
    base, runtime = (f"peep-test-{kind}:{secrets.token_hex(4)}" for kind in ("base", "runtime"))
    run_docker("build", "--quiet", "--tag", base, "-", octets=BASE_WITHOUT_BYTECODE)
    build = ("build", "--quiet", "--target", "runtime", "--build-arg", f"PYTHON_IMAGE={base}")
    try:
        run_docker(*build, "--tag", runtime, ".")
        yield runtime
    finally:
        run_docker("image", "rm", "--force", runtime, base)


def test_no_start_and_no_check_compiles_what_it_imports(runtime_on_base_without_bytecode: str) -> None:
    python = ("--rm", "--entrypoint", "/opt/venv/bin/python", runtime_on_base_without_bytecode)
    assert run_docker("run", *python, "-c", COMPILED_AT_EACH_START, *STARTED, *CHECKED) == ""
