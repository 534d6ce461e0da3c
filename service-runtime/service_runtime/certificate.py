"""A TLS certificate with its chain and key: read from PEM files, checked, and ready to serve with."""

import contextlib
import os
import re
import ssl
import stat
import time
from dataclasses import dataclass
from math import inf
from typing import Any

from asn1crypto.x509 import Certificate as ParsedCertificate

from service_runtime.errors import StartError

LARGEST_FILE_OCTETS = 1024 * 1024
"""More than any chain of certificates; a larger file was named by mistake."""

CERTIFICATE_VARIABLE = "PEEP_TLS_CERT_FILE"
KEY_VARIABLE = "PEEP_TLS_KEY_FILE"

_PEM_CERTIFICATE = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----")
_PEM_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
_NOT_ITS_KEY = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
# X509_V_FLAG_NO_CHECK_TIME, which Python has no name for: `fault_at` checks the times.
_NO_CHECK_TIME = 0x200000

_SUITES_OF_TLS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""None with CBC, whose padding has been attacked repeatedly; all suites of TLS 1.3 are as good as these."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with the server context that presents it. Times are in seconds since the epoch."""

    context: ssl.SSLContext
    serial: str = ""
    names: tuple[str, ...] = ()
    not_before: float = -inf
    not_after: float = inf
    end: str = ""
    """`not_after` as OpenSSL writes it."""
    rsa_key_bits: int = 0
    """0 for a key of another kind."""
    handshake_seconds: float = 0.0
    """The server's CPU time for one handshake."""
    verify_message: str = ""
    """Why OpenSSL does not verify it, even if it is trusted; clients will give the same reason."""

    def fault_at(self, now: float) -> str:
        """Return why clients refuse it at this moment, in OpenSSL's words; empty if it is valid."""
        if now > self.not_after:
            return "certificate has expired"
        return "certificate is not yet valid" if now < self.not_before else ""


def load(certificate_file: str, key_file: str | None) -> Certificate:
    """Return the certificate in the PEM file, with its key from `key_file` or, if None, from the same file.

    Raises `StartError` with one line that names the variable, the path and the fault.
    """
    trusting = _trusting_context(certificate_file)
    serving = _serving_context(certificate_file, key_file)
    try:
        return _described(serving, trusting)
    except ssl.SSLCertVerificationError as error:
        return Certificate(serving, verify_message=error.verify_message)
    except ssl.SSLError:
        raise StartError(
            f"{CERTIFICATE_VARIABLE}: no client could connect with the certificate in {certificate_file}: "
            "its kind of key is not known to TLS clients"
        ) from None


def _trusting_context(path: str) -> ssl.SSLContext:
    """Return a client context that trusts the certificate itself, whoever signed it."""
    content = _content(CERTIFICATE_VARIABLE, path)
    if not _PEM_CERTIFICATE.search(content):
        raise StartError(f"{CERTIFICATE_VARIABLE}: there is no certificate in {path}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    try:
        context.load_verify_locations(cafile=path)
    except OSError:
        raise StartError(f"{CERTIFICATE_VARIABLE}: a certificate in {path} is damaged") from None
    return context


def _serving_context(certificate_file: str, key_file: str | None) -> ssl.SSLContext:
    variable, path = (KEY_VARIABLE, key_file) if key_file else (CERTIFICATE_VARIABLE, certificate_file)
    if not _PEM_KEY.search(_content(variable, path)):
        hint = "" if key_file else f"; {KEY_VARIABLE} can name another file"
        raise StartError(f"{variable}: there is no private key in {path}{hint}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES_OF_TLS_1_2)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_IGNORE_UNEXPECTED_EOF
    try:
        context.load_cert_chain(certificate_file, path, _refuse_passphrase)
    except _KeyIsEncrypted:
        raise StartError(
            f"{variable}: the private key in {path} is encrypted; it must be kept without a passphrase"
        ) from None
    except OSError as error:
        raise StartError(f"{variable}: {_key_fault(error, path, certificate_file)}") from None
    return context


def _key_fault(error: OSError, path: str, certificate_file: str) -> str:
    reason = getattr(error, "reason", None)
    if reason in _NOT_ITS_KEY:
        return f"the private key in {path} does not belong to the first certificate in {certificate_file}"
    if reason:
        return f"{path} with {certificate_file} is refused: {reason.lower().replace('_', ' ')}"
    return f"the private key in {path} is damaged"


class _KeyIsEncrypted(Exception):
    pass


def _refuse_passphrase() -> str:
    # Without this, OpenSSL would prompt for the passphrase at the terminal, and wait.
    raise _KeyIsEncrypted


def _content(variable: str, path: str) -> bytes:
    try:
        status = os.stat(path)
        # Opening a FIFO would block until there is a writer.
        if not stat.S_ISREG(status.st_mode):
            raise StartError(f"{variable}: {path} is not a regular file")
        if status.st_size > LARGEST_FILE_OCTETS:
            raise StartError(f"{variable}: {path} has over {LARGEST_FILE_OCTETS} octets: not such a PEM file")
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE_OCTETS)
    except OSError as error:
        raise StartError(f"{variable}: cannot read {path}: {error.strerror}") from None
    if b"-----BEGIN " not in content:
        raise StartError(f"{variable}: {path} is not a PEM file")
    return content


def _described(serving: ssl.SSLContext, trusting: ssl.SSLContext) -> Certificate:
    """Run a handshake in memory, and return what the client learns of the certificate."""
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
    return Certificate(
        serving,
        serial=shown["serialNumber"],
        names=tuple(name for _, name in shown.get("subjectAltName", ())),
        not_before=float(ssl.cert_time_to_seconds(shown["notBefore"])),
        not_after=float(ssl.cert_time_to_seconds(shown["notAfter"])),
        end=shown["notAfter"],
        rsa_key_bits=key.bit_size if key.algorithm == "rsa" else 0,
        handshake_seconds=seconds,
    )
