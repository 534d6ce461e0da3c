"""The Debian package and a host for it: a container that makes the one, and one that systemd runs in."""

import io
import json
import secrets
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.containers import PROJECT_FOLDER, run_docker
from support.docker_engine import BUILD_SECONDS, docker, docker_result
from support.pop3_process import wait_until

FOLDER = Path(__file__).parent / "debian_host"
HOST_NAME = "mail.example.org"
VERSION = "1.0"
"""Of the package that the tests make."""
BOOT_SECONDS = 60
COMMAND_SECONDS = 600


class DebianContainer:
    """A container with a Debian in it, whose shell tests type into as root."""

    def __init__(self, target: str, *options: str) -> None:
        image = f"peep/test-debian-{target}"
        docker("build", "--quiet", f"--target={target}", f"--tag={image}", str(FOLDER), seconds=BUILD_SECONDS)
        name = f"peep-test-{target}-{secrets.token_hex(4)}"
        self.id = docker("run", "--detach", "--name", name, *options, image, *self.COMMAND)

    COMMAND: tuple[str, ...] = ("sleep", "infinity")

    def type_in(self, script: str) -> str:
        """Run what an operator would type, and return what it prints; fail the test where a command fails."""
        done = self.result(script)
        if done.returncode != 0:
            pytest.fail(f"{script}\n{done.stdout}{done.stderr}")
        return done.stdout

    def result(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run it and return how it ended."""
        shell = ("exec", "--workdir", "/root", self.id, "bash", "-euo", "pipefail", "-c", script)
        return docker_result(*shell, seconds=COMMAND_SECONDS)

    def put(self, folder: str, files: dict[str, bytes]) -> None:
        """Write files, by their paths below `folder`."""
        octets = io.BytesIO()
        with tarfile.open(fileobj=octets, mode="w") as archive:
            for path, content in files.items():
                member = tarfile.TarInfo(path)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        run_docker("cp", "-", f"{self.id}:{folder}", octets=octets.getvalue())

    def remove(self) -> None:
        """Remove the container."""
        docker_result("rm", "--force", "--volumes", self.id)


class PackageBuilder(DebianContainer):
    """Makes packages of the project's files as git would take them, in a clean Debian."""

    def __init__(self) -> None:
        super().__init__("builder")
        listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = subprocess.run(listed, cwd=PROJECT_FOLDER, capture_output=True, check=True).stdout
        paths = (PROJECT_FOLDER / name for name in names.decode().split("\0") if name)
        files = {str(path.relative_to(PROJECT_FOLDER)): path.read_bytes() for path in paths if path.is_file()}
        self.put("/peep", {name: octets for name, octets in files.items() if not name.startswith("tests/")})

    def make(self, version: str) -> str:
        """Run `make deb`, and return the package's path in the container."""
        settings = f"SOURCE_DATE_EPOCH=1577836800 DEB_VERSION={version}"
        printed = self.type_in(f"cd /peep && {settings} make --silent deb")
        return f"/peep/{printed.splitlines()[-1]}"

    def changed(self, package: str, field: str, value: str) -> str:
        """Return the path of a package with the same content and another field `field`."""
        path = f"/tmp/{secrets.token_hex(4)}.deb"
        self.type_in(
            f"rm -rf /tmp/tree && dpkg-deb --raw-extract {package} /tmp/tree"
            f" && sed -i 's/^{field}: .*/{field}: {value}/' /tmp/tree/DEBIAN/control"
            f" && dpkg-deb --root-owner-group -Znone --build /tmp/tree {path}"
        )
        return path

    def read(self, path: str) -> bytes:
        """Return a file's octets."""
        done = subprocess.run(("docker", "cp", f"{self.id}:{path}", "-"), capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            file = archive.extractfile(archive.getmembers()[0])
            assert file is not None
            return file.read()


@dataclass(frozen=True, slots=True)
class Fetching:
    """What fifty clients saw."""

    sessions: int
    longest: float
    faults: list[str]


class DebianHost(DebianContainer):
    """A Debian host: systemd is its first process, and nothing of Peep is there yet."""

    COMMAND = ()

    def __init__(self) -> None:
        super().__init__(
            "host",
            "--cap-add=SYS_ADMIN",
            "--cap-add=NET_ADMIN",
            "--cap-add=SYS_PTRACE",
            "--security-opt=seccomp=unconfined",
            "--security-opt=apparmor=unconfined",
            f"--hostname={HOST_NAME}",
            "--tmpfs=/run",
            "--tmpfs=/run/lock",
            "--tmpfs=/tmp:exec",
            "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
            "--cgroupns=host",
            "--env=CURL_CA_BUNDLE=/root/authority.pem",
            "--env=SSL_CERT_FILE=/root/authority.pem",
        )
        wait_until(self._is_up, "systemd has started everything", BOOT_SECONDS)

    def _is_up(self) -> bool:
        return self.result("systemctl is-system-running").stdout.strip() in {"running", "degraded"}

    def property(self, unit: str, name: str) -> str:
        """Return a property of a unit, as `systemctl show` has it."""
        return self.type_in(f"systemctl show --value --property={name} {unit}").strip()

    @contextmanager
    def fetching(self, domain: str, password: str, clients: int) -> Iterator[list[Fetching]]:
        """Let clients fetch all the time; at the end what they saw is in the list."""
        seen: list[Fetching] = []
        script = (FOLDER / "busy_clients.py").read_text()
        arguments = (HOST_NAME, domain, password, str(clients))
        python = ("docker", "exec", "--interactive", self.id, "/usr/bin/python3", "-c", script, *arguments)
        with subprocess.Popen(python, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "fetching\n"
            yield seen
            said, _ = process.communicate()
            seen.append(Fetching(**json.loads(said)))
