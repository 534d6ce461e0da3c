"""From a message's file to its wire form: compiled where a C compiler was at hand, else in Python."""

try:
    from pop3_service.maildir._wire import count_wire, read_wire
except ImportError:  # pragma: no cover - no C compiler
    from pop3_service.maildir.wire_in_python import count_wire, read_wire

__all__ = ["count_wire", "read_wire"]
