"""TLS to Redis, as the options of the URL set it."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

OPTIONS = {
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_ca_data",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_ciphers",
    "ssl_keyfile",
    "ssl_min_version",
    "ssl_password",
}
"""The options that may follow `?` in the URL, under redis-py's names."""

_VERIFY_MODES = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_FALSE = {"0", "F", "FALSE", "N", "NO"}


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How to check a server's certificate, and which client certificate to present."""

    verify_mode: ssl.VerifyMode = ssl.CERT_REQUIRED
    checks_hostname: bool = True
    ca_file: str | None = None
    ca_path: str | None = None
    ca_data: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: str | None = None
    ciphers: str | None = None
    min_version: ssl.TLSVersion | None = None

    @classmethod
    def read(cls, options: Mapping[str, str]) -> Self:
        """Return the options of a URL. Raises `ValueError`."""
        verify_mode = options.get("ssl_cert_reqs", "required")
        if verify_mode not in _VERIFY_MODES:
            raise ValueError(f"the option ssl_cert_reqs must be one of {', '.join(_VERIFY_MODES)}")
        version = options.get("ssl_min_version")
        if version is not None and version not in {str(int(known)) for known in ssl.TLSVersion}:
            raise ValueError("the option ssl_min_version must be the number of a version, as 772 for TLS 1.3")
        return cls(
            verify_mode=_VERIFY_MODES[verify_mode],
            checks_hostname=options.get("ssl_check_hostname", "true").upper() not in _FALSE,
            ca_file=options.get("ssl_ca_certs"),
            ca_path=options.get("ssl_ca_path"),
            ca_data=options.get("ssl_ca_data"),
            cert_file=options.get("ssl_certfile"),
            key_file=options.get("ssl_keyfile"),
            key_password=options.get("ssl_password"),
            ciphers=options.get("ssl_ciphers"),
            min_version=None if version is None else ssl.TLSVersion(int(version)),
        )

    def context(self) -> ssl.SSLContext:
        """Return a context for one connection, from the files as they are now. Raises `OSError`."""
        context = ssl.create_default_context()
        context.check_hostname = self.checks_hostname and self.verify_mode != ssl.CERT_NONE
        context.verify_mode = self.verify_mode
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file, self.key_password)
        if self.ca_file or self.ca_path or self.ca_data:
            context.load_verify_locations(self.ca_file, self.ca_path, self.ca_data)
        if self.min_version is not None:
            context.minimum_version = self.min_version
        if self.ciphers is not None:
            context.set_ciphers(self.ciphers)
        return context
