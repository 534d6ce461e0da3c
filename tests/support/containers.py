"""Compose projects of the tests' own: the project's docker-compose.yml, on unused names and ports."""

import os
import re
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest

from support.redis_kinds import free_ports

PROJECT_FOLDER = Path(__file__).parents[2]
COMMAND_SECONDS = 600


class Containers:
    """One Compose project: an unused name, free ports, fresh volumes, and perhaps files that override."""

    def __init__(self, *overrides: Path, **settings: str) -> None:
        self.name = f"peep-test-{secrets.token_hex(4)}"
        self.pop3, self.pop3s, self.peep, self.peeps, self.http = free_ports(5)
        self.settings = {
            "PEEP_PUBLISH_POP3": str(self.pop3),
            "PEEP_PUBLISH_POP3S": str(self.pop3s),
            "PEEP_PUBLISH_PEEP": str(self.peep),
            "PEEP_PUBLISH_PEEPS": str(self.peeps),
            "PEEP_PUBLISH_HTTP": str(self.http),
            "PEEP_IMAGES": "localhost/peep-test",
            "PEEP_DRAIN_SECONDS": "2",
            **settings,
        }
        self._files = ["docker-compose.yml", *map(str, overrides)]

    @property
    def environment(self) -> dict[str, str]:
        """What has to be set for `docker compose` in the project's folder to mean this project."""
        chosen = {"COMPOSE_PROJECT_NAME": self.name, "COMPOSE_FILE": os.pathsep.join(self._files)}
        return _environment() | self.settings | chosen

    def compose(self, *arguments: str, octets: bytes = b"") -> str:
        """Run `docker compose` for this project and return what it prints; fail the test if it fails."""
        return _run("docker", "compose", *arguments, environment=self.environment, octets=octets)

    def docker(self, *arguments: str) -> str:
        """Run `docker` and return what it prints; fail the test if it fails."""
        return run_docker(*arguments)

    def run_commands(self, script: str) -> str:
        """Run what an operator would type into a shell in the project's folder, and return what it prints.

        Fail the test at the first command that fails.
        """
        return _run("bash", "-euo", "pipefail", "-c", script, environment=self.environment)

    def start(self, *options: str) -> None:
        """Start what is not running yet, and return when all containers are healthy."""
        self.compose("up", "--detach", "--wait", *options)

    def remove(self) -> None:
        """Remove all containers, networks and volumes of this project."""
        self.compose("down", "--volumes", "--timeout", "10")

    def container(self, service: str) -> str:
        """Return the id of a service's container, running or not."""
        return self.compose("ps", "--all", "--quiet", service).strip()

    def replicas(self, service: str) -> list[str]:
        """Return the ids of a service's running containers."""
        return self.compose("ps", "--quiet", service).split()

    def inspect(self, service: str, what: str) -> str:
        """Return one property of a service's container, in the template language of `docker inspect`."""
        return self.docker("inspect", "--format", f"{{{{{what}}}}}", self.container(service))

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


def run_docker(*arguments: str, octets: bytes = b"") -> str:
    """Run `docker` and return what it prints; fail the test if it fails."""
    return _run("docker", *arguments, environment=_environment(), octets=octets).strip()


def _run(*command: str, environment: dict[str, str], octets: bytes = b"") -> str:
    done = subprocess.run(
        command,
        cwd=PROJECT_FOLDER,
        env=environment,
        input=octets,
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}:\n{done.stdout.decode()}{done.stderr.decode()}")
    return done.stdout.decode()


def require_engine() -> None:
    """Skip the test where there is no container engine; fail it where one is obligatory."""
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
