"""POP3 over TCP, in one process or in several that share the port: environment to objects to service."""

import os
import sys

import structlog

from line_server.listener import ListenError
from pop3_service.maildir import mail_directory_verdict
from pop3_service.ports import Ports, require_free_ports
from pop3_service.worker import WORKER_VARIABLE, Worker
from service_runtime import command_line
from service_runtime.certificates import CertificateFiles
from service_runtime.errors import StartError
from service_runtime.process import Lifecycle
from service_runtime.settings import Pop3Settings
from service_runtime.supervisor import Program, WorkerPool

KILL_AFTER_SECONDS = 4.0
"""How much longer than notice and drain a worker may take to end."""


async def serve(settings: Pop3Settings, lifecycle: Lifecycle) -> None:
    """Serve in this process, or start the workers and look after them."""
    try:
        if WORKER_VARIABLE in os.environ:
            await Worker(settings).serve(Ports.bind(settings, shared=True), lifecycle)
            return
        require_mail_directory(settings)
        if settings.pop3_workers == 1:
            ports = Ports.bind(settings, shared=settings.pop3_share_ports)
            await Worker(settings).serve(ports, lifecycle)
        else:
            await look_after_workers(settings, lifecycle)
    except ListenError as error:
        raise StartError(str(error)) from None


def require_mail_directory(settings: Pop3Settings) -> None:
    """Raise `StartError` when mail cannot be served from `PEEP_MAIL_DIR`."""
    if not mail_directory_verdict(settings.mail_dir, settings.mail_roots):
        raise StartError(
            f"PEEP_MAIL_DIR={settings.mail_dir}: must be a folder that this process can list and write"
            " (and lie below PEEP_MAIL_ROOTS, where that is set)"
        )


async def look_after_workers(settings: Pop3Settings, lifecycle: Lifecycle) -> None:
    """Keep `PEEP_POP3_WORKERS` processes running on one port until told to stop.

    Raises `StartError` when they cannot start, or keep dying.
    """
    if settings.tls_cert_file is not None:
        # One line where it cannot be used, not one from each worker.
        CertificateFiles(settings.tls_cert_file, settings.tls_key_file, tells=False)
    if not settings.pop3_share_ports:
        require_free_ports(settings)
    # Bound and never listening: keeps the ports ours, also while no worker lives.
    reserved = Ports.bind(settings, shared=True)
    pool = WorkerPool([_worker(number, reserved.numbers()) for number in range(1, settings.pop3_workers + 1)])
    try:
        await pool.start()
        lifecycle.on_reload(pool.reload)
        lifecycle.ready(reserved.addresses())
        failure = await lifecycle.until_stopped(pool.failure())
        if failure is not None:
            raise failure
    finally:
        late = await pool.stop(settings.drain_notice_seconds + settings.drain_seconds + KILL_AFTER_SECONDS)
        if late:
            structlog.get_logger().warning("workers had to be killed", workers=late)
        reserved.close()


def _worker(number: int, ports: dict[str, str]) -> Program:
    environment = {**os.environ, WORKER_VARIABLE: str(number), **ports}
    return Program(f"worker {number}", [sys.executable, "-m", "pop3_service"], environment)


def main() -> int:
    """Serve until told to stop, and return the process's exit code."""
    return command_line.run("pop3-service", "Serve Maildirs over POP3, as Peep does.", Pop3Settings, serve)
