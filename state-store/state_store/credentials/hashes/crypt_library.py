"""crypt(3): the C library where the machine has libxcrypt, else libpass."""

import ctypes
import functools
import hmac
import importlib
from collections.abc import Callable
from typing import Any

_NAMES = ("libcrypt.so.1", "libcrypt.so.2")
"""libxcrypt, as Debian and as Fedora name it. Other libraries of these names have no `crypt_rn`."""

_DATA_OCTETS = 32_768
"""The size of libxcrypt's `struct crypt_data`."""

_OF_LIBPASS = {
    "$1$": "md5_crypt",
    "$5$": "sha256_crypt",
    "$6$": "sha512_crypt",
    "$apr1$": "apr_md5_crypt",
}


def fits(password: bytes, text: str) -> bool:
    """Return whether this is the hash of `password`; other threads run meanwhile (with libxcrypt)."""
    crypt_rn = _crypt_rn()
    if crypt_rn is None or text.startswith("$apr1$"):
        return _fits_by_libpass(password, text)
    # Through ctypes, which lets go of the interpreter's lock: a costly hash must not stop the event loop.
    data = ctypes.create_string_buffer(_DATA_OCTETS)
    found: bytes | None = crypt_rn(password, text.encode(), data, _DATA_OCTETS)
    return found is not None and hmac.compare_digest(found, text.encode())


def knows_yescrypt() -> bool:
    """Return whether hashes that begin with `$y$` can be compared here: libpass does not know them."""
    return _crypt_rn() is not None


@functools.cache
def _crypt_rn() -> Callable[..., Any] | None:
    for name in _NAMES:
        try:
            function = ctypes.CDLL(name).crypt_rn
        except (OSError, AttributeError):
            continue
        function.restype = ctypes.c_char_p
        function.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int]
        return function
    return None


def _fits_by_libpass(password: bytes, text: str) -> bool:
    handlers = importlib.import_module("passlib.hash")  # takes 0.05 s, and most servers never need it
    end = text.find("$", 1) + 1 if text.startswith("$") else 0
    handler = getattr(handlers, _OF_LIBPASS.get(text[:end], "des_crypt"))
    try:
        return bool(handler.verify(password, text))
    except ValueError:  # a salt or a password that it does not take
        return False
