"""The certificate that TLS is served with: loaded at the start, and again whenever its files change."""

import asyncio
import os
import ssl
import time
from collections.abc import Awaitable, Callable
from math import inf, isfinite
from typing import Any

import structlog

from service_runtime.certificate import Certificate, load
from service_runtime.errors import StartError

log = structlog.get_logger()

POLL_SECONDS = 2.0
"""Between two checks of the files. A change is loaded at the second check that sees it."""

DAY_SECONDS = 86_400.0
NOTICE_SECONDS = 14 * DAY_SECONDS
"""How long before its end a certificate is warned of, once a day: renewal by hand takes working days."""

LONGEST_RSA_KEY_BITS = 4096
"""The cost of a handshake grows with its third power: with 8,192 bits a core manages some 17 a second."""

_Identity = tuple[int, ...] | None


class CertificateFiles:
    """A certificate with its chain and its key, in two PEM files or, if `key_file` is None, in one.

    Raises `StartError` as `certificate.load` does. An expired certificate is served all the same, with a
    warning. With `must_load` off, files that cannot be loaded are logged instead, and every handshake fails
    until they are mended: a restarted worker must not fail where the one before went on with what it had
    loaded. With `is_logging` off nothing else is logged: another process of the service logs it. `clock` is
    the time of day.
    """

    def __init__(
        self,
        certificate_file: str,
        key_file: str | None,
        *,
        must_load: bool = True,
        is_logging: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._certificate_file = certificate_file
        self._key_file = key_file
        self._clock = clock
        self._is_logging = is_logging
        self._turn = asyncio.Lock()
        self._reminded = -inf
        self._retry_at = inf
        self._loaded = self._identities()
        try:
            self._certificate = self._load()
        except StartError as error:
            if must_load:
                raise
            self._is_logging = True  # the other processes have nothing to log
            log.error("no TLS until the certificate is mended", reason=str(error))
            self._certificate = Certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), not_after=-inf)
        else:
            self._warn_of_faults()

    def context(self) -> ssl.SSLContext:
        """Return the server context of the newest good certificate, for the next connection."""
        return self._certificate.context

    @property
    def expires_at(self) -> float:
        """When the certificate in use expires, in seconds since the epoch; 0 if unknown."""
        return self._certificate.not_after if isfinite(self._certificate.not_after) else 0.0

    async def reload(self) -> None:
        """Load the files now, whether they have changed or not.

        What cannot be used leaves the last good certificate in use, and is logged.
        """
        async with self._turn:
            self._loaded = await asyncio.to_thread(self._identities)
            await self._replace()

    async def watch(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Load changed files, for ever; open connections keep the certificate that they began with.

        A change that cannot be used, or a certificate that is not valid now, leaves the last good one in use
        and is logged once. One that is not valid yet is taken when it is.
        """
        seen = self._loaded
        while True:
            await pause(POLL_SECONDS)
            before, seen = seen, await asyncio.to_thread(self._identities)
            # Certificate and key are rarely replaced at the same moment: wait until both stay the same.
            has_changed = seen == before and seen != self._loaded
            if has_changed or self._clock() >= self._retry_at:
                await self.reload()
            else:
                self._remind()

    async def _replace(self) -> None:
        self._retry_at = inf
        try:
            certificate = await asyncio.to_thread(self._load)
        except StartError as error:
            self._log("error", "new certificate refused", reason=str(error))
            return
        except Exception:
            # A bug here must not end the process, and with it the port without TLS.
            log.exception("bug while the certificate was read")
            return
        now = self._clock()
        fault = certificate.fault_at(now)
        if fault and not self._certificate.fault_at(now):
            if now < certificate.not_before:
                self._retry_at = certificate.not_before
            self._log("error", "new certificate refused", reason=fault, file=self._certificate_file)
            return
        self._certificate = certificate
        self._log(
            "info",
            "certificate changed",
            file=self._certificate_file,
            serial=certificate.serial,
            names=list(certificate.names),
            not_after=certificate.end,
        )
        self._warn_of_faults()

    def _warn_of_faults(self) -> None:
        """Warn of the faults of the certificate that has just come into use."""
        certificate = self._certificate
        if certificate.verify_message:
            self._warn(certificate.verify_message)
        self._reminded = -inf
        self._remind()
        if certificate.rsa_key_bits > LONGEST_RSA_KEY_BITS:
            self._warn(
                "the certificate's RSA key is so long that handshakes are slow",
                bits=certificate.rsa_key_bits,
                handshake_milliseconds=round(certificate.handshake_seconds * 1000, 1),
                handshakes_per_core_and_second=round(1 / certificate.handshake_seconds),
            )

    def _remind(self) -> None:
        """Warn, once a day, of a certificate that clients refuse or soon will."""
        now = self._clock()
        if now - self._reminded < DAY_SECONDS:
            return
        certificate = self._certificate
        fault = certificate.fault_at(now)
        if not fault and certificate.not_after - now <= NOTICE_SECONDS:
            fault = "certificate expires soon"
        if fault:
            self._reminded = now
            self._warn(fault, not_after=certificate.end)

    def _warn(self, event: str, **details: Any) -> None:
        self._log("warning", event, file=self._certificate_file, **details)

    def _log(self, level: str, event: str, **details: Any) -> None:
        getattr(log, level if self._is_logging else "debug")(event, **details)

    def _load(self) -> Certificate:
        return load(self._certificate_file, self._key_file)

    def _identities(self) -> tuple[_Identity, _Identity]:
        return _identity(self._certificate_file), _identity(self._key_file or self._certificate_file)


async def watch(certificates: CertificateFiles | None) -> None:
    """Load changed files, for ever; without a certificate, wait for ever."""
    if certificates is not None:
        await certificates.watch()
    else:
        await asyncio.Event().wait()


def _identity(path: str) -> _Identity:
    """Return a value that changes when the file does (links are followed), None if it cannot be examined."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    # The change time too: a chmod or a rename may make a refused file readable.
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
