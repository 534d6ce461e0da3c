"""The real containers, built and started once for all tests of this folder."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT_FOLDER = Path(__file__).parents[2]
COMMAND_SECONDS = 600


class Containers:
    """One Compose project of its own: an unused name, free ports, fresh volumes."""

    def __init__(self) -> None:
        self.name = f"peep-e2e-{secrets.token_hex(4)}"
        self.pop3, self.peep, self.http = _free_ports(3)
        self.settings = {
            "PEEP_PUBLISH_POP3": str(self.pop3),
            "PEEP_PUBLISH_PEEP": str(self.peep),
            "PEEP_PUBLISH_HTTP": str(self.http),
            "PEEP_DRAIN_SECONDS": "2",
        }

    def compose(self, *arguments: str, octets: bytes = b"") -> str:
        """Run `docker compose` for this project and return what it prints; fail the test if it fails."""
        done = subprocess.run(
            ("docker", "compose", "--project-name", self.name, *arguments),
            cwd=PROJECT_FOLDER,
            env=_environment() | self.settings,
            input=octets,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            pytest.fail(
                f"docker compose {' '.join(arguments)}:\n{done.stdout.decode()}{done.stderr.decode()}"
            )
        return done.stdout.decode()

    def start(self, *options: str) -> None:
        """Start what is not running yet, and return when all containers are healthy."""
        self.compose("up", "--detach", "--wait", *options)

    def inspect(self, service: str, what: str) -> str:
        """Return one property of a service's container, in the template language of `docker inspect`."""
        container = self.compose("ps", "--all", "--quiet", service).strip()
        done = subprocess.run(
            ("docker", "inspect", "--format", f"{{{{{what}}}}}", container),
            env=_environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def generated_password(self) -> str:
        """Return the password of the first administrator, which one of the services told once."""
        found = re.findall(r"'admin' with the password (\S+)", self.compose("logs", "--no-log-prefix"))
        assert len(found) == 1
        return str(found[0])

    def deliver(self, username: str, name: str, message: bytes) -> None:
        """Put a message into the mail volume as a mail transfer agent would."""
        script = (
            "import os, sys; folder = sys.argv[1];"
            "[os.makedirs(f'{folder}/{part}', exist_ok=True) for part in ('tmp', 'new', 'cur')];"
            "open(f'{folder}/tmp/{sys.argv[2]}', 'wb').write(sys.stdin.buffer.read());"
            "os.rename(f'{folder}/tmp/{sys.argv[2]}', f'{folder}/new/{sys.argv[2]}')"
        )
        python = ("/opt/venv/bin/python", "-c", script)
        folder = f"/var/mail/peep/{username}"
        self.compose("exec", "--no-TTY", "pop3-service", *python, folder, name, octets=message)


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    """Build the images, start all containers, and remove them and their volumes at the end."""
    _require_engine()
    containers = Containers()
    containers.compose("build")
    try:
        containers.start()
        yield containers
    finally:
        containers.compose("down", "--volumes", "--timeout", "10")


def _require_engine() -> None:
    reason = _why_no_engine()
    if reason is None:
        return
    if os.environ.get("PEEP_REQUIRE_ENGINE"):
        pytest.fail(f"PEEP_REQUIRE_ENGINE is set, and {reason}")
    pytest.skip(reason)


def _why_no_engine() -> str | None:
    if shutil.which("docker") is None:
        return "there is no docker command"
    for arguments in (("docker", "info"), ("docker", "compose", "version")):
        if subprocess.run(arguments, capture_output=True, env=_environment(), check=False).returncode != 0:
            return f"`{' '.join(arguments)}` fails"
    return None


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PEEP_")}


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [bound.getsockname()[1] for bound in sockets]
    for bound in sockets:
        bound.close()
    return ports
