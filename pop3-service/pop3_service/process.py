"""One POP3 process: its sockets, its place in the state store, and its connections until the end."""

import asyncio
import contextlib
import functools
import gc
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import cast

import structlog

from line_server.connection import LineConnection
from line_server.listener_options import ListenerOptions
from line_server.proxy_header import TrustedProxies
from line_server.server import LineServer
from pop3_service.connection import Pop3Connection
from pop3_service.context import Pop3Context
from pop3_service.deployment_mark import read_mark, write_marks
from pop3_service.disk import DiskThreads
from pop3_service.health.answer import HealthServer
from pop3_service.listing import Listings
from pop3_service.local import LocalConnection
from pop3_service.maildir import Maildirs, mail_directory_fault
from pop3_service.moving.moves import Moves
from pop3_service.moving.old_server import old_server
from pop3_service.ports import Ports
from pop3_service.protocol import replies
from pop3_service.protocol.policy import Policy
from pop3_service.verification import Verification
from pop3_service.vitals import DiskLook, LoopLag
from service_runtime import VERSION
from service_runtime.certificates import CertificateFiles, watch
from service_runtime.errors import StartError
from service_runtime.lifecycle import Lifecycle
from service_runtime.maildir_layout import MaildirLayout
from service_runtime.processors import usable_processors
from service_runtime.settings import Pop3Settings
from service_runtime.waiting import prepare_patiently
from state_store.audit import on_this_machine
from state_store.credentials.authentication import Authenticator
from state_store.credentials.passwords import Passwords
from state_store.errors import LayoutDiffers, StoreEmptied, StoreUnusable
from state_store.instance.live_instance import LiveInstance
from state_store.instance.options import InstanceCallbacks, InstanceOptions
from state_store.repository import StateRepository
from state_store.vitals import Vitals

WORKER_VARIABLE = "PEEP_WORKER"
"""Set by the parent process for its workers: the worker's number, from 1."""

SOCKETS_VARIABLE = "PEEP_WORKER_SOCKETS"
"""Set too: the listening sockets, as `Ports.inherited` takes them."""

VERDICT_SECONDS = 5.0
"""How long a start waits for the disk of the mail directory: users on other disks can be served."""

GARBAGE_THRESHOLDS = (100_000, 5, 5)
"""For `gc.set_threshold`. The collector stops all threads, and sessions contain no reference cycles to find.

The young generation is collected after 100,000 net allocations: with thousands of sessions of 25 objects
each nearly all objects are young. That takes 30 ms, once for 4,000 more sessions. With a threshold of 5,000
it took up to 80 ms with 8,000 sessions, several times a minute. A full collection takes hundreds of
milliseconds; it comes once in 2.5 million allocations, which are remembered messages of large maildirs.
"""

SWITCH_SECONDS = 0.0005
"""For `sys.setswitchinterval`: how long the event loop waits for the interpreter while a thread computes. A
command takes the interpreter several times: with Python's 5 ms it waited for 10 to 20 ms (D68)."""

CONNECTIONS_A_TURN = 500
"""After a change of refusals so many are judged in one turn of the event loop: a millisecond or two."""

log = structlog.get_logger()


class ServerProcess:
    """Builds what one process needs, and serves until it is asked to stop.

    Raises `StartError` when the certificate cannot be used.
    """

    def __init__(self, settings: Pop3Settings) -> None:
        self._settings = settings
        self._number = int(os.environ.get(WORKER_VARIABLE, "1"))
        self._is_leaving = False
        self._certificates = self._load_certificates()
        self._repository = StateRepository(settings.redis_url, deployment_learned=self._deployment_learned)
        self._passwords = Passwords(usable_processors())
        self._disk = DiskThreads()
        self._disk_look = DiskLook(self._disk)
        self._loop_lag = LoopLag()
        self._instance = self._new_instance()
        self._context = self._new_context()
        self._server = LineServer(
            functools.partial(Pop3Connection, self._context),
            self._make_check,
            no_room=replies.OUT_OF_DESCRIPTORS,
        )

    def _load_certificates(self) -> CertificateFiles | None:
        settings = self._settings
        if not settings.tls_cert_file:
            return None
        return CertificateFiles(
            settings.tls_cert_file,
            settings.tls_key_file,
            # The parent has loaded them before the first start. At a later one they may be broken while the
            # other workers go on with what they have: this one then serves without TLS.
            must_load=WORKER_VARIABLE not in os.environ,
            is_logging=self._number == 1,
        )

    def _new_instance(self) -> LiveInstance:
        settings = self._settings
        return LiveInstance(
            self._repository,
            InstanceOptions(
                socket.gethostname(),
                os.getpid(),
                VERSION,
                worker=self._number,
                layout=settings.maildir_layout,
                mail_directory=settings.mail_dir,
                login_delay_seconds=settings.login_delay,
                max_connections_per_address=settings.max_connections_per_address,
                login_records_days=settings.login_records,
            ),
            InstanceCallbacks(
                self._directory_fault,
                self._settings_changed,
                self._lease_lapsed,
                self._close_session,
                self._vitals,
                self._refusals_changed,
                TrustedProxies(settings.trusted_networks).trusts,
            ),
        )

    def _new_context(self) -> Pop3Context:
        settings, certificates = self._settings, self._certificates
        maildirs = Maildirs(roots=settings.mail_roots)
        policy = Policy(
            implementation=f"Peep-{VERSION}",
            offers_tls=certificates is not None,
            requires_tls=settings.require_tls,
            login_delay_seconds=settings.login_delay,
        )
        layout = MaildirLayout(settings.maildir_layout)
        return Pop3Context(
            self._instance,
            maildirs,
            self._passwords,
            Authenticator(self._repository, self._passwords, is_trusted=self._instance.networks.is_exempt),
            self._disk,
            Listings(maildirs, self._disk),
            policy,
            certificates.context if certificates is not None else None,
            layout,
            moves=self._new_moves(maildirs, layout),
        )

    def _new_moves(self, maildirs: Maildirs, layout: MaildirLayout) -> Moves | None:
        source = old_server(self._settings)
        if source is None:
            return None
        return Moves(source, self._repository, self._instance, self._passwords, maildirs, self._disk, layout)

    def _make_check(self, checks: set[LineConnection], options: ListenerOptions) -> LocalConnection:
        sessions = self._server.connections
        return LocalConnection(self._context, checks, options, sessions, lambda: self._is_leaving)

    async def serve(self, ports: Ports, lifecycle: Lifecycle) -> None:
        """Serve on bound sockets until `lifecycle` says to stop. Raises `StartError`."""
        with contextlib.suppress(TimeoutError):  # a disk that hangs: nothing is known, and the start goes on
            reading = self._disk.run("verdicts", read_mark, self._settings.mail_dir)
            self._repository.deployment = await asyncio.wait_for(reading, VERDICT_SECONDS)
        try:
            is_there = await prepare_patiently(
                self._repository, log, self._settings.redis_url, lifecycle, self._enter_store
            )
        except StoreUnusable as error:
            raise StartError(str(error)) from None
        if is_there:
            await self._serve_with_store(ports, lifecycle)
        self._passwords.close()
        self._disk.close()
        await self._repository.close()

    async def _enter_store(self) -> None:
        own = in_force = self._settings.mail_dir
        with contextlib.suppress(StoreEmptied):  # it is known once the store is restored or accepted
            in_force = await self._repository.announce_mail_directory(
                own, overrides=True, by=on_this_machine("pop3-service")
            )
        if in_force != own and (fault := await self._directory_fault(in_force)):
            raise StartError(
                f"the mail directory in force is {in_force}, and this process cannot list and write it:"
                f" {fault} (PEEP_MAIL_DIR={own} decides only where no POP3 service lives and `m=` has set"
                " none)"
            )
        try:
            await self._instance.start()
        except LayoutDiffers as error:
            raise StartError(
                f"PEEP_MAILDIR_LAYOUT={self._settings.maildir_layout}: {error}; stop them first, "
                "for two layouts may lead to one maildir for two users"
            ) from None
        if self._context.moves is not None:
            with contextlib.suppress(StoreEmptied):
                await self._context.moves.announce()
        if in_force != own and self._number == 1:
            log.warning(
                "PEEP_MAIL_DIR is not followed: another mail directory is in force", mail_directory=in_force
            )

    async def _serve_with_store(self, ports: Ports, lifecycle: Lifecycle) -> None:
        await self._check_mail_directory()
        proxies = TrustedProxies(self._settings.proxy_trusted) if self._settings.proxy_protocol else None
        plain, tls = ListenerOptions(proxies=proxies), ListenerOptions(tls=self._context.tls, proxies=proxies)
        await self._server.listen(ports.plain, plain)
        await self._server.listen(ports.tls, tls)
        health = HealthServer(ports.port, is_logging=self._number == 1)
        await health.start()
        gc.freeze()  # the objects of the start live to the end
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        sys.setswitchinterval(SWITCH_SECONDS)
        if self._certificates is not None:
            lifecycle.on_reload(self._certificates.reload)
        lifecycle.ready(ports.addresses())
        await lifecycle.until_stopped(self._background())
        await self._leave()
        health.stop()

    async def _background(self) -> None:
        verification = Verification(self._context.maildirs, self._disk)
        await asyncio.gather(watch(self._certificates), verification.run(), self._loop_lag.run())

    async def _leave(self) -> None:
        """Give proxies time to notice, let clients finish, then report what is left to the store."""
        self._is_leaving = True
        await asyncio.sleep(self._settings.drain_notice_seconds)
        began = time.monotonic()
        await self._server.drain(
            self._settings.drain_seconds,
            lambda connection: _pop3(connection).dismiss("server stopping", replies.GOING_DOWN),
        )
        if self._context.moves is not None:
            await self._context.moves.stop()
        # The rest of the drain's time is for a store that is away, as in a failover.
        await self._instance.stop(self._settings.drain_seconds - (time.monotonic() - began))

    async def _check_mail_directory(self) -> None:
        directory = self._instance.settings.mail_directory
        if not directory:
            return  # of an emptied store it is known once that is restored or accepted
        try:
            fault = await asyncio.wait_for(self._directory_fault(directory), VERDICT_SECONDS)
        except TimeoutError:
            fault = f"the disk has not answered within {VERDICT_SECONDS:g} s"
        if fault:
            log.error(
                "the mail directory cannot be used: logins will fail", mail_directory=directory, reason=fault
            )

    async def _directory_fault(self, path: str) -> str:
        return await self._disk.run("verdicts", mail_directory_fault, path, self._settings.mail_roots)

    def _deployment_learned(self, deployment: str) -> None:
        directories = {self._settings.mail_dir, self._instance.settings.mail_directory} - {""}
        self._disk.begin("verdicts", write_marks, directories, deployment)

    def _vitals(self) -> Vitals:
        look = self._disk_look
        vitals = Vitals(
            certificate_expires_at=self._certificates.expires_at if self._certificates is not None else 0.0,
            loop_lag=round(self._loop_lag.take(), 6),
            threads=threading.active_count(),
            is_draining=int(self._is_leaving),
            disk_look=round(look.seconds, 6),
            disk_fault=look.fault,
            disk_octets=look.room.octets,
            disk_free=look.room.free,
            disk_inodes=look.room.inodes,
            disk_free_inodes=look.room.free_inodes,
        )
        if self._instance.settings.mail_directory:
            look.begin(self._instance.settings.mail_directory)  # told the next time
        return vitals

    def _settings_changed(self) -> None:
        if self._repository.deployment:
            self._deployment_learned(self._repository.deployment)
        for connection in self._server.connections:
            _pop3(connection).timeout_changed()

    def _lease_lapsed(self) -> None:
        if self._context.moves is not None:
            self._context.moves.abandon()
        for connection in list(self._server.connections):
            _pop3(connection).dismiss("lease lost", replies.STATE_STORE_UNREACHABLE)

    def _close_session(self, session_id: str) -> None:
        for connection in list(self._server.connections):
            if _pop3(connection).session_id == session_id:
                _pop3(connection).dismiss("closed by an administrator", replies.CLOSED_BY_ADMINISTRATOR)

    async def _refusals_changed(self, suspended: Mapping[str, str]) -> None:
        for number, connection in enumerate(list(self._server.connections), start=1):
            _pop3(connection).obey_refusals(suspended)
            if number % CONNECTIONS_A_TURN == 0:
                await asyncio.sleep(0)


def _pop3(connection: LineConnection) -> Pop3Connection:
    return cast(Pop3Connection, connection)
