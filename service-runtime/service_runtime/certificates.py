"""The certificate that TLS is served with: read at the start, and again whenever its files change."""

import asyncio
import contextlib
import os
import re
import ssl
import stat
from typing import Any

import structlog

from service_runtime.errors import StartError

log = structlog.get_logger()

POLL_SECONDS = 2.0
"""Between two looks at the files. A change is taken up at the second look that sees it."""

LARGEST_FILE_OCTETS = 1024 * 1024
"""More than any chain of certificates; what is larger was named by mistake."""

CERTIFICATE_VARIABLE = "PEEP_TLS_CERT_FILE"
KEY_VARIABLE = "PEEP_TLS_KEY_FILE"

_PEM_CERTIFICATE = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----")
_PEM_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
_NOT_ITS_KEY = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")

_Details = dict[str, Any]
_Identity = tuple[int, ...] | None


class CertificateFiles:
    """A certificate with its chain and its key, in two PEM files or, with `key_file` None, in one.

    Raises `StartError` with one line that names the variable, the path and what is wrong. A
    certificate that clients will refuse (an expired one) is served all the same, with a warning.
    """

    def __init__(self, certificate_file: str, key_file: str | None) -> None:
        self._certificate_file = certificate_file
        self._key_file = key_file
        self._judged = self._look()
        self._context, _ = self._load()

    def context(self) -> ssl.SSLContext:
        """Return the newest good certificate's server side, for the next connection."""
        return self._context

    async def watch(self, poll_seconds: float = POLL_SECONDS) -> None:
        """Take up changed files, for ever; connections that are open keep what they began with.

        A change that cannot be used leaves the last good certificate in use, and is logged once.
        """
        seen = self._judged
        while True:
            await asyncio.sleep(poll_seconds)
            before, seen = seen, await asyncio.to_thread(self._look)
            # Certificate and key are rarely replaced at the same moment: wait until both hold still.
            if seen == before and seen != self._judged:
                self._judged = seen
                await self._take_up()

    async def _take_up(self) -> None:
        try:
            self._context, details = await asyncio.to_thread(self._load)
        except StartError as error:
            log.error("new certificate refused", reason=str(error))
        else:
            log.info("certificate changed", file=self._certificate_file, **details)

    def _look(self) -> tuple[_Identity, _Identity]:
        return _identity(self._certificate_file), _identity(self._key_file or self._certificate_file)

    def _load(self) -> tuple[ssl.SSLContext, _Details]:
        trusting = self._trusting_context()
        serving = self._serving_context()
        try:
            return serving, _details(serving, trusting)
        except ssl.SSLCertVerificationError as error:
            # OpenSSL's own words, such as "certificate has expired". Clients will say the same.
            log.warning(error.verify_message, file=self._certificate_file)
            return serving, {}
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
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
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


def _details(serving: ssl.SSLContext, trusting: ssl.SSLContext) -> _Details:
    """Let both sides meet in memory, and return what the client side learns of the certificate."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    client = trusting.wrap_bio(to_client, to_server)
    # TLS 1.3 takes three turns, TLS 1.2 five.
    for side in (client, server, client, server, client):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    certificate: _Details = client.getpeercert() or {}
    return {
        "serial": certificate.get("serialNumber"),
        "names": [name for _, name in certificate.get("subjectAltName", ())],
        "not_after": certificate.get("notAfter"),
    }
