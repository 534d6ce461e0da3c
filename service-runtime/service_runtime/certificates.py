"""The certificate that TLS is served with: read at the start, and again whenever its files change."""

import asyncio
import contextlib
import os
import re
import ssl
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import structlog
from asn1crypto.x509 import Certificate as ParsedCertificate

from service_runtime.errors import StartError

log = structlog.get_logger()

POLL_SECONDS = 2.0
"""Between two looks at the files. A change is taken up at the second look that sees it."""

LARGEST_FILE_OCTETS = 1024 * 1024
"""More than any chain of certificates; what is larger was named by mistake."""

DAY_SECONDS = 86_400.0
NOTICE_SECONDS = 14 * DAY_SECONDS
"""So long before its end a certificate is warned of, once a day: who renews by hand needs working days."""

LONGEST_RSA_KEY_BITS = 4096
"""What a handshake costs grows with the third power of it: with 8,192 bits a core does some 17 a second."""

CERTIFICATE_VARIABLE = "PEEP_TLS_CERT_FILE"
KEY_VARIABLE = "PEEP_TLS_KEY_FILE"

_PEM_CERTIFICATE = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----")
_PEM_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
_NOT_ITS_KEY = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
# X509_V_FLAG_NO_CHECK_TIME, which Python has no name for: we judge times ourselves.
_TIMES_ARE_NOT_CHECKED = 0x200000

_Identity = tuple[int, ...] | None


_SUITES_OF_TLS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""None with CBC, whose padding has been attacked again and again; those of TLS 1.3 are all as good."""


@dataclass(frozen=True, slots=True)
class _Certificate:
    """What is in use, or may come into use. Times are in seconds since the epoch."""

    context: ssl.SSLContext
    serial: str = ""
    names: tuple[str, ...] = ()
    not_before: float = -inf
    not_after: float = inf
    end: str = ""
    """`not_after` in OpenSSL's words."""
    rsa_key_bits: int = 0
    """0 for a key of another kind."""
    handshake_seconds: float = 0.0
    """Processor time that a handshake costs the server."""

    def fault_at(self, now: float) -> str:
        """Return why no client takes it at this moment, in OpenSSL's words; empty if it is valid."""
        if now > self.not_after:
            return "certificate has expired"
        return "certificate is not yet valid" if now < self.not_before else ""


class CertificateFiles:
    """A certificate with its chain and its key, in two PEM files or, with `key_file` None, in one.

    Raises `StartError` with one line that names the variable, the path and what is wrong. A certificate that
    clients will refuse (an expired one) is served all the same, with a warning. With `must_load` off there is
    no `StartError` but a line in the log, and every handshake fails until the files are mended: a process
    that takes another one's place must not fail where that one went on with what it had. With `tells` off
    the log hears of nothing but that: another process of the service tells it. `clock` is the time of day.
    """

    def __init__(
        self,
        certificate_file: str,
        key_file: str | None,
        *,
        must_load: bool = True,
        tells: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._certificate_file = certificate_file
        self._key_file = key_file
        self._clock = clock
        self._tells = tells
        self._asked = asyncio.Event()
        self._reminded = -inf
        self._retry_at = inf
        self._judged = self._look()
        try:
            self._certificate = self._load()
        except StartError as error:
            if must_load:
                raise
            self._tells = True  # the others have nothing to tell of this
            log.error("no TLS until the certificate is mended", reason=str(error))
            self._certificate = _Certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), not_after=-inf)
        else:
            self._judge()

    def context(self) -> ssl.SSLContext:
        """Return the newest good certificate's server side, for the next connection."""
        return self._certificate.context

    @property
    def expires_at(self) -> float:
        """When the certificate in use expires, in seconds since the epoch; 0 where that is not known."""
        return self._certificate.not_after if isfinite(self._certificate.not_after) else 0.0

    def reload(self) -> None:
        """Let `watch` read the files now, whether they have changed or not."""
        self._asked.set()

    async def watch(self, poll_seconds: float = POLL_SECONDS) -> None:
        """Take up changed files, for ever; connections that are open keep what they began with.

        A change that cannot be used leaves the last good certificate in use, and is logged once. So does one
        to a certificate that is not valid at the time; one that is not yet valid is taken up when it is.
        """
        seen = self._judged
        while True:
            is_asked = await self._pause(poll_seconds)
            before, seen = seen, await asyncio.to_thread(self._look)
            # Certificate and key are rarely replaced at the same moment: wait until both hold still.
            has_changed = seen == before and seen != self._judged
            if is_asked or has_changed or self._clock() >= self._retry_at:
                self._judged = seen
                await self._take_up()
            else:
                self._remind()

    async def _pause(self, seconds: float) -> bool:
        """Wait, and return whether it was cut short by `reload`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), seconds)
        is_asked = self._asked.is_set()
        self._asked.clear()
        return is_asked

    async def _take_up(self) -> None:
        self._retry_at = inf
        try:
            certificate = await asyncio.to_thread(self._load)
        except StartError as error:
            self._speak("error", "new certificate refused", reason=str(error))
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
            self._speak("error", "new certificate refused", reason=fault, file=self._certificate_file)
            return
        self._certificate = certificate
        self._speak(
            "info",
            "certificate changed",
            file=self._certificate_file,
            serial=certificate.serial,
            names=list(certificate.names),
            not_after=certificate.end,
        )
        self._judge()

    def _judge(self) -> None:
        """Warn of what is the matter with the certificate that has just come into use."""
        certificate = self._certificate
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
        self._speak("warning", event, file=self._certificate_file, **details)

    def _speak(self, level: str, event: str, **details: Any) -> None:
        getattr(log, level if self._tells else "debug")(event, **details)

    def _look(self) -> tuple[_Identity, _Identity]:
        return _identity(self._certificate_file), _identity(self._key_file or self._certificate_file)

    def _load(self) -> _Certificate:
        trusting = self._trusting_context()
        serving = self._serving_context()
        try:
            return _described(serving, trusting)
        except ssl.SSLCertVerificationError as error:
            # OpenSSL's own words. Clients will say the same.
            self._warn(error.verify_message)
            return _Certificate(serving)
        except ssl.SSLError:
            raise StartError(
                f"{CERTIFICATE_VARIABLE}: no client could connect with the certificate in "
                f"{self._certificate_file}: its kind of key is not known to TLS clients"
            ) from None

    def _trusting_context(self) -> ssl.SSLContext:
        """Return a client side that trusts the certificate itself, whoever has signed it."""
        content = _content(CERTIFICATE_VARIABLE, self._certificate_file)
        if b"-----BEGIN " not in content:
            raise StartError(f"{CERTIFICATE_VARIABLE}: {self._certificate_file} is not a PEM file")
        if not _PEM_CERTIFICATE.search(content):
            raise StartError(f"{CERTIFICATE_VARIABLE}: there is no certificate in {self._certificate_file}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _TIMES_ARE_NOT_CHECKED
        try:
            context.load_verify_locations(cafile=self._certificate_file)
        except OSError:
            raise StartError(
                f"{CERTIFICATE_VARIABLE}: a certificate in {self._certificate_file} is damaged"
            ) from None
        return context

    def _serving_context(self) -> ssl.SSLContext:
        variable = KEY_VARIABLE if self._key_file else CERTIFICATE_VARIABLE
        path = self._key_file or self._certificate_file
        content = _content(variable, path)
        if b"-----BEGIN " not in content:
            raise StartError(f"{variable}: {path} is not a PEM file")
        if not _PEM_KEY.search(content):
            hint = "" if self._key_file else f"; {KEY_VARIABLE} can name another file"
            raise StartError(f"{variable}: there is no private key in {path}{hint}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_SUITES_OF_TLS_1_2)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_IGNORE_UNEXPECTED_EOF
        try:
            context.load_cert_chain(self._certificate_file, path, _refuse_to_ask)
        except _KeyIsEncrypted:
            raise StartError(
                f"{variable}: the private key in {path} is encrypted; it must be kept without a passphrase"
            ) from None
        except OSError as error:
            raise StartError(f"{variable}: {self._key_fault(error, path)}") from None
        return context

    def _key_fault(self, error: OSError, path: str) -> str:
        reason = getattr(error, "reason", None)
        if reason in _NOT_ITS_KEY:
            return (
                f"the private key in {path} does not belong to the first certificate "
                f"in {self._certificate_file}"
            )
        if reason:
            return f"{path} with {self._certificate_file} is refused: {reason.lower().replace('_', ' ')}"
        return f"the private key in {path} is damaged"


async def watch(certificates: CertificateFiles | None) -> None:
    """Take up changed files, for ever; where there is no certificate, do nothing for ever."""
    if certificates is not None:
        await certificates.watch()
    else:
        await asyncio.Event().wait()


class _KeyIsEncrypted(Exception):
    pass


def _refuse_to_ask() -> str:
    # Without this OpenSSL would ask for the passphrase on the terminal, and wait.
    raise _KeyIsEncrypted


def _identity(path: str) -> _Identity:
    """Return what changes when the file does (links are followed), None where there is none to see."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    # The time of the last chmod or rename too: it may be what makes a refused file readable.
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _content(variable: str, path: str) -> bytes:
    try:
        status = os.stat(path)
        # A FIFO would keep us waiting for its writer.
        if not stat.S_ISREG(status.st_mode):
            raise StartError(f"{variable}: {path} is not a regular file")
        if status.st_size > LARGEST_FILE_OCTETS:
            raise StartError(
                f"{variable}: {path} is over {LARGEST_FILE_OCTETS} octets: not a PEM file of ours"
            )
        with open(path, "rb") as file:
            return file.read(LARGEST_FILE_OCTETS)
    except OSError as error:
        raise StartError(f"{variable}: cannot read {path}: {error.strerror}") from None


def _described(serving: ssl.SSLContext, trusting: ssl.SSLContext) -> _Certificate:
    """Let both sides meet in memory, and return what the client side learns of the certificate."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    client = trusting.wrap_bio(to_client, to_server)
    seconds = 0.0
    # TLS 1.3 takes three turns, TLS 1.2 five.
    for side in (client, server, client, server, client):
        began = time.thread_time()
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
        seconds += time.thread_time() - began if side is server else 0.0
    shown: dict[str, Any] = client.getpeercert() or {}
    key = ParsedCertificate.load(client.getpeercert(binary_form=True)).public_key
    return _Certificate(
        serving,
        serial=shown["serialNumber"],
        names=tuple(name for _, name in shown.get("subjectAltName", ())),
        not_before=float(ssl.cert_time_to_seconds(shown["notBefore"])),
        not_after=float(ssl.cert_time_to_seconds(shown["notAfter"])),
        end=shown["notAfter"],
        rsa_key_bits=key.bit_size if key.algorithm == "rsa" else 0,
        handshake_seconds=seconds,
    )
