"""From a message's file to its wire form: compiled where a C compiler was at hand, else in Python."""

from contextlib import suppress
from hashlib import sha256
from pathlib import Path

_SOURCE = Path(__file__).with_name("_wire.c")

NOT_USED = ""
"""Why the compiled module that is there is not used; empty when it is used, or was never compiled."""


def require_compiled_from(source: Path, digest: str) -> None:
    """Raise ImportError unless this is the SHA-256 of `source`: functions of before may take other arguments.

    An installed wheel has no source, and needs none: its files come and go together.
    """
    with suppress(FileNotFoundError):
        if sha256(source.read_bytes()).hexdigest() != digest:
            raise ImportError(f"it was compiled from another {source.name}")


try:
    from pop3_service.maildir._wire import SOURCE_DIGEST, count_wire, read_wire

    require_compiled_from(_SOURCE, SOURCE_DIGEST)
except ImportError as error:
    from pop3_service.maildir.wire_in_python import count_wire, read_wire

    NOT_USED = "" if isinstance(error, ModuleNotFoundError) else str(error)

__all__ = ["NOT_USED", "count_wire", "read_wire"]
