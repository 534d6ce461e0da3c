"""A certificate authority of the tests' own, made anew in each run and never kept."""

import datetime as dt
import os
import ssl
from pathlib import Path

import trustme

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Authority:
    """Issues server certificates, and gives clients what they need to trust them."""

    def __init__(self) -> None:
        self._authority = trustme.CA()

    def issue(self, folder: Path, *names: str, not_after: dt.datetime | None = None) -> tuple[Path, Path]:
        """Write a new certificate for `names` (else the loopback's) and its key; return both paths.

        Called again for the same folder it replaces both files, one after the other, by renaming.
        """
        names = names or LOOPBACK
        # Some clients look for a common name, and refuse a certificate without one.
        leaf = self._authority.issue_cert(*names, common_name=names[0], not_after=not_after)
        chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
        return (
            _replaced(folder / "certificate.pem", chain),
            _replaced(folder / "key.pem", leaf.private_key_pem.bytes()),
        )

    def client_context(self) -> ssl.SSLContext:
        """Return a context for clients that trusts this authority and nobody else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._authority.configure_trust(context)
        return context

    def ca_file(self, folder: Path) -> Path:
        """Write the authority's own certificate, for programs that take a file; return its path."""
        return _replaced(folder / "authority.pem", self._authority.cert_pem.bytes())


def _replaced(path: Path, content: bytes) -> Path:
    # A name of its own for each process that issues into the same folder.
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(content)
    return fresh.replace(path)
