"""The overlay compose.scale.yml as a Compose project of the tests' own."""

import contextlib
import re
import secrets
import socket
from pathlib import Path

import httpx

from support.containers import Containers
from support.docker_engine import docker, docker_result
from support.haproxy_image import provide_haproxy_image
from support.pop3_process import PASSWORD, wait_until

ADMINISTRATOR = ("bob", "sesame")
REPLICAS = {"pop3-service": 3, "peep-gateway": 2, "state-api": 2}
REDIS = ("redis", "redis-2", "redis-3")
SENTINELS = ("sentinel-1", "sentinel-2", "sentinel-3")

COUNTERS = {
    "rb?": "retrieved_bytes",
    "re?": "retrieved_emails",
    "xe?": "removed_emails",
    "hc?": "historical_connections",
    "hu?": "historical_logins",
}
"""What PEEP says, and where HTTP says the same."""

# Mail lies where the tests can look at it, and the images have names that no other project has.
OVERRIDE = """
services:
  pop3-service:
    image: peep-scale-test/pop3-service
    volumes: ["{mail}:/var/mail/peep"]
  peep-gateway: {{image: peep-scale-test/peep-gateway}}
  state-api: {{image: peep-scale-test/state-api}}
"""


def free_subnets() -> str:
    """Return the beginning of addresses that no network of the engine has: a killed run has left its own."""
    networks = docker("network", "ls", "--quiet").split()
    # One of another run may be gone by now: that is told after the others.
    taken = docker_result("network", "inspect", "--format", "{{json .IPAM.Config}}", *networks).stdout
    return secrets.choice([f"10.{number}" for number in range(130, 230) if f'"10.{number}.' not in taken])


class ScaledContainers(Containers):
    """All containers of the overlay, and what operators ask of them through HAProxy."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.mail = folder / "mail"
        self.mail.mkdir()
        self.mail.chmod(0o777)
        administrators = folder / "administrators"
        administrators.write_text(":".join(ADMINISTRATOR) + "\n")
        # The containers' user is nobody's user here, so the file has to be open to it.
        administrators.chmod(0o644)
        override = folder / "override.yml"
        override.write_text(OVERRIDE.format(mail=self.mail))
        super().__init__(
            Path("compose.scale.yml"),
            override,
            PEEP_ADMINS_SECRET=str(administrators),
            PEEP_LOG_FORMAT="json",
            PEEP_SUBNETS=free_subnets(),
            **settings,
        )
        # HAProxy, which has all ports, wants to know where it publishes those of administrators.
        for name in ("PEEP_PUBLISH_PEEP", "PEEP_PUBLISH_PEEPS", "PEEP_PUBLISH_HTTP"):
            self.settings[name] = f"127.0.0.1:{self.settings[name]}"

    def build_and_start(self) -> None:
        """Start everything from images that are as the project is now."""
        provide_haproxy_image()
        # One after the other they share what they have in common; at the same time each makes it anew.
        for service in REPLICAS:
            self.compose("build", service)
        self.start()

    def ask(self, *commands: str) -> list[str]:
        """Return PEEP's answers, each of one line."""
        with socket.create_connection(("127.0.0.1", self.peep), timeout=10) as connection:
            lines = connection.makefile("r", encoding="ascii", newline="\r\n")
            with contextlib.closing(lines):
                answers = []
                for command in (f"a {' '.join(ADMINISTRATOR)}", *commands):
                    connection.sendall(f"{command}\r\n".encode())
                    answers.append(lines.readline().removesuffix("\r\n"))
        assert answers[0] == "+", answers
        return answers[1:]

    def counters(self) -> dict[str, int]:
        """Return what PEEP counts, by the names that HTTP has for it."""
        return dict(zip(COUNTERS.values(), map(int, self.ask(*COUNTERS)), strict=True))

    def get(self, path: str) -> httpx.Response:
        """Return what the HTTP service answers."""
        return httpx.get(f"http://127.0.0.1:{self.http}{path}", auth=ADMINISTRATOR, timeout=10)

    def is_administered(self) -> bool:
        """Return whether PEEP and HTTP both answer what needs Redis."""
        with contextlib.suppress(OSError, ValueError, AssertionError, httpx.TransportError):
            return self.ask("c?")[0].startswith("+") and self.get("/readyz").status_code == 200
        return False

    def add_users(self, *usernames: str) -> None:
        """Add users with empty maildirs that the containers may write to."""
        missing = list(usernames)

        def are_added() -> bool:
            # `-8`: the master lacks a replica for a moment; `-3`: it took what it could not say any more.
            answers = self.ask(*(f"u+ {username} {PASSWORD}" for username in missing))
            assert set(answers) <= {"+", "-3", "-8"}, answers
            missing[:] = [name for name, answer in zip(missing, answers, strict=True) if answer == "-8"]
            return not missing

        wait_until(are_added, "all users are added")
        for username in usernames:
            maildir = self.mail / username
            for folder in (maildir, *(maildir / name for name in ("new", "cur", "tmp"))):
                folder.mkdir()
                folder.chmod(0o777)

    def address_of(self, container: str, network: str) -> str:
        """Return a container's address in one of the project's networks."""
        form = f'{{{{(index .NetworkSettings.Networks "{self.name}_{network}").IPAddress}}}}'
        return self.docker("inspect", "--format", form, container)

    def master(self) -> str:
        """Return the service whose container the sentinels call the master."""
        ask = ("redis-cli", "-p", "26379", "--raw", "sentinel", "get-master-addr-by-name", "peep")
        address = self.compose("exec", "--no-TTY", "sentinel-1", *ask).split()[0]
        last = {
            f"{self.settings['PEEP_SUBNETS']}.2.{10 + number}": name for number, name in enumerate(REDIS, 1)
        }
        return last[address]

    def haproxy_servers(self, backend: str) -> dict[str, str]:
        """Return the state of each server of a backend that stands for a replica."""
        text = self.fetch_inside("http://haproxy:8404/metrics")
        states = re.findall(
            rf'^haproxy_server_status{{proxy="{backend}",server="([^"]+)",state="([A-Z]+)"}} 1$',
            text,
            re.MULTILINE,
        )
        return {server: state for server, state in states if state != "MAINT"}

    def fetch_inside(self, url: str) -> str:
        """Return what a container behind HAProxy gets from this address."""
        program = (
            "import sys, urllib.request;"
            "print(urllib.request.urlopen(sys.argv[1], timeout=9).read().decode(), end='')"
        )
        return self.compose("exec", "--no-TTY", "state-api", "/opt/venv/bin/python", "-c", program, url)
