"""POP3 over TCP, in one process or in several workers that share the port."""

import functools
import os
import sys

import structlog

from line_server.listener import ListenError
from pop3_service.maildir import mail_directory_fault, wire
from pop3_service.moving.old_server import old_server
from pop3_service.ports import Ports
from pop3_service.process import SOCKETS_VARIABLE, WORKER_VARIABLE, ServerProcess
from service_runtime import certificate
from service_runtime.child_process import Program
from service_runtime.errors import StartError
from service_runtime.lifecycle import Lifecycle
from service_runtime.process import run
from service_runtime.settings import Pop3Settings
from service_runtime.supervisor import WorkerPool

DESCRIPTION = """\
Serve Maildirs over POP3, as Peep does. `peep-pop3 unique-ids import` is another command:
it takes over the unique-ids of the server before Peep (--help says how)."""

KILL_AFTER_SECONDS = 4.0
"""How much longer than notice and drain a worker may take to end."""


async def serve(settings: Pop3Settings, lifecycle: Lifecycle) -> None:
    """Serve in this process, or start the workers and supervise them."""
    try:
        if WORKER_VARIABLE in os.environ:
            ports = Ports.inherited(os.environ[SOCKETS_VARIABLE])
            await ServerProcess(settings).serve(ports, lifecycle)
            return
        require_mail_directory(settings)
        warn_of_slow_reading()
        if settings.pop3_workers == 1:
            ports = Ports.open(settings, lifecycle.passed_sockets)
            await ServerProcess(settings).serve(ports, lifecycle)
        else:
            await supervise_workers(settings, lifecycle)
    except ListenError as error:
        raise StartError(str(error)) from None


def require_mail_directory(settings: Pop3Settings) -> None:
    """Raise `StartError` when mail cannot be served from `PEEP_MAIL_DIR`."""
    if fault := mail_directory_fault(settings.mail_dir, settings.mail_roots):
        raise StartError(
            f"PEEP_MAIL_DIR={settings.mail_dir}: must be a folder that this process can list and write"
            f" (and lie below PEEP_MAIL_ROOTS, where that is set): {fault}"
        )


def warn_of_slow_reading() -> None:
    """Log it when a compiled module is there that cannot be used."""
    if wire.NOT_USED:
        structlog.get_logger().warning(
            "messages are read by Python alone: compile anew with `python hatch_build.py`",
            reason=wire.NOT_USED,
        )


async def supervise_workers(settings: Pop3Settings, lifecycle: Lifecycle) -> None:
    """Keep `PEEP_POP3_WORKERS` processes running on one port until `lifecycle` says to stop.

    Raises `StartError` when they cannot start, or keep dying.
    """
    if settings.tls_cert_file is not None:
        # One error message if it cannot be used, not one from each worker.
        certificate.load(settings.tls_cert_file, settings.tls_key_file)
    old_server(settings)
    ports = Ports.open(settings, lifecycle.passed_sockets)
    pool = WorkerPool([_worker(number, ports) for number in range(1, settings.pop3_workers + 1)])
    try:
        await pool.start()
        lifecycle.on_reload(functools.partial(_reload, pool))
        lifecycle.lives_while(pool.is_alive)
        lifecycle.ready(ports.addresses())
        failure = await lifecycle.until_stopped(pool.failure())
        if failure is not None:
            raise failure
    finally:
        await pool.stop_watching()
        ports.close()  # before the workers stop: the last of them to do so closes them for good
        late = await pool.stop(settings.drain_notice_seconds + settings.drain_seconds + KILL_AFTER_SECONDS)
        if late:
            structlog.get_logger().warning("workers had to be killed", workers=late)


async def _reload(pool: WorkerPool) -> None:
    pool.reload()


def _worker(number: int, ports: Ports) -> Program:
    own = {WORKER_VARIABLE: str(number), SOCKETS_VARIABLE: ports.description()}
    command = [sys.executable, "-m", "pop3_service"]
    return Program(f"worker {number}", command, {**os.environ, **own}, ports.descriptors())


def main() -> int:
    """Serve until asked to stop, and return the process's exit code."""
    return run("pop3-service", DESCRIPTION, Pop3Settings, serve)
