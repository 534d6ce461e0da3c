"""All of Peep on one machine: the embedded server, unless an external one is set, and the three services."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from peepctl import left_addresses
from peepctl.up import demo, first_start, repairs
from peepctl.up.embedded import EmbeddedServer
from peepctl.up.kept_parts import KeptServer, KeptService, Part, keep_running
from peepctl.up.settings import UpSettings
from service_runtime.child_process import Address, Program
from service_runtime.errors import StartError
from service_runtime.supervisor import Supervisor
from state_store.credentials.administrators import FIRST_ADMINISTRATOR
from state_store.redis import address as redis_address

SERVICES = {"pop3-service": "pop3_service", "peep-gateway": "peep_gateway", "state-api": "state_api"}
KILL_AFTER_DRAIN_SECONDS = 10.0
STORE_STOP_SECONDS = 5.0
"""How long services may take after their drain, and then the store, before they are killed. They take tenths
of a second, or seconds on a busy machine, and a killed service loses its latest counts. Whoever cannot wait
interrupts again."""
PROGRESS_AFTER_SECONDS = 1.0


class LocalSystem:
    """Starts everything in order, watches it, and stops it in reverse.

    Calls `say` with each line for the user.
    """

    def __init__(
        self, settings: UpSettings, environment: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._say = say
        self._supervisor = Supervisor()
        self._server = None if settings.redis_url else EmbeddedServer(settings.directory, progress=say)
        self._parts: list[Part] = []
        self._addresses: dict[str, str] = {}
        """Where the parts listen, by their labels."""

    async def start(self) -> None:
        """Start everything and report where each part listens; raise StartError if a part does not start."""
        first_start.make_directories(self._settings)
        redis_url = await self._start_store()
        await self._prepare_first_start(redis_url)
        addresses = await self._start_services(redis_url)
        self._announce(addresses)
        self._say(_line("ready", self._what_to_type(addresses)))

    async def first_failure(self) -> str:
        """Start each part again that ends; return a line about the first one that this does not help."""
        keepers = [asyncio.create_task(keep_running(part, self._say)) for part in self._parts]
        try:
            done, _ = await asyncio.wait(keepers, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)

    async def stop(self) -> tuple[str, ...]:
        """Stop the services, then the store; return the names of those that had to be killed."""
        if self._addresses:  # else another peepctl up may have left its own there
            left_addresses.take_away(self._settings.directory)
        killed = await self._supervisor.stop(self._settings.drain_seconds + KILL_AFTER_DRAIN_SECONDS)
        if self._server is not None and not await asyncio.to_thread(self._server.stop, STORE_STOP_SECONDS):
            killed = (*killed, "the embedded server")
        return killed

    def reload(self) -> None:
        """Have the services load their certificates again."""
        self._supervisor.reload()

    def kill(self) -> None:
        """End everything at once; `stop` then has nothing to wait for."""
        self._supervisor.kill()
        if self._server is not None:
            self._server.kill()

    async def _start_store(self) -> str:
        if self._server is None:
            self._say(_line("redis", _redis_shown(self._settings.redis_url)))
            return self._settings.redis_url
        await asyncio.to_thread(self._server.start)
        self._parts.append(KeptServer(self._server))
        self._say(_line("redis", f"unix:{self._server.socket_path} (embedded {self._server.version})"))
        await repairs.note(self._settings.directory, self._server.url)
        return self._server.url

    async def _prepare_first_start(self, redis_url: str) -> None:
        settings = self._settings
        # The well-known password goes only into the embedded server, never into one that others may use.
        if settings.demo and self._server is not None and self._has_no_mail_yet():
            user = demo.demo_user(settings.layout)
            await demo.add_demo_user(redis_url, user)
            number = demo.make_mail_directory(settings.own_mail_directory, settings.layout)
            self._say(_line("demo", f"{number} sample messages for the user {user}, password demo"))
        if not settings.mail_dir:
            settings.own_mail_directory.mkdir(mode=0o700, exist_ok=True)
        if not settings.admins and (pair := first_start.make_administrator(settings.administrators_file)):
            self._say(_line("admin", f"{pair} (kept in {_near(settings.administrators_file)}, shown once)"))

    def _has_no_mail_yet(self) -> bool:
        return not self._settings.mail_dir and not self._settings.own_mail_directory.exists()

    async def _start_services(self, redis_url: str) -> list[Address]:
        environment = self._settings.service_environment(self._environment, redis_url)
        programs = [
            Program(name, (sys.executable, "-m", module), environment) for name, module in SERVICES.items()
        ]
        with self._progress("starting the services ..."):
            addresses = await asyncio.gather(*map(self._supervisor.start, programs))
        self._parts += [KeptService(self._supervisor, program, self._announce) for program in programs]
        return [address for of_one in addresses for address in of_one]

    def _announce(self, addresses: Iterable[Address]) -> None:
        for address in addresses:
            self._say(_line(address.label.lower(), _address_shown(address)))
            self._addresses[address.label] = address.address
        left_addresses.leave(self._settings.directory, self._addresses)

    @contextmanager
    def _progress(self, line: str) -> Iterator[None]:
        timer = asyncio.get_running_loop().call_later(PROGRESS_AFTER_SECONDS, self._say, line)
        try:
            yield
        finally:
            timer.cancel()

    def _what_to_type(self, addresses: list[Address]) -> str:
        shown = {address.label: _address_shown(address) for address in addresses}
        hints = []
        settings = self._settings
        if settings.demo and demo.demo_maildir(settings.own_mail_directory, settings.layout).exists():
            # With a certificate, passwords may be refused in the clear. -k: it may be for another name.
            way, address = ("-k pop3s", shown["POP3S"]) if "POP3S" in shown else ("pop3", shown.get("POP3"))
            user = quote(demo.demo_user(settings.layout))
            hints.append(f"fetch: curl {way}://{user}:{demo.DEMO_PASSWORD}@{address}/1")
        administer = f"administer: {shown.get('HTTP')}/"
        if not settings.admins:
            kept = _near(settings.administrators_file)
            administer += f" as {FIRST_ADMINISTRATOR} (password in {kept})"
        hints.append(f"{administer} or {_peepctl()} top")
        return "   ".join(hints)


def _line(part: str, text: str) -> str:
    return f"{part:<8} {text}"


def _address_shown(address: Address) -> str:
    is_bare = address.label == "HTTP" and "://" not in address.address
    return f"http://{address.address}" if is_bare else address.address


def _peepctl() -> str:
    ours, found = Path(sys.executable).with_name("peepctl"), shutil.which("peepctl")
    return "peepctl" if found and ours.exists() and os.path.samefile(found, ours) else _near(ours)


def _near(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _redis_shown(url: str) -> str:
    try:
        return f"{url.partition('://')[0]}://{redis_address.parse(url).shown}"
    except ValueError as error:
        raise StartError(f"PEEP_REDIS_URL: {error}") from None
