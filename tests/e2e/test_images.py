"""What our three images are, and what is not in them."""

import json
from typing import Any

import pytest

from e2e.conftest import Containers
from service_runtime import VERSION

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
