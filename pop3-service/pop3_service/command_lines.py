"""How a POP3 client's lines are cut out of its octets."""

from line_server.lines import LineBuffer
from pop3_service.protocol.commands import MAXIMUM_COMMAND_LINE_OCTETS, longest_line


def command_lines() -> LineBuffer:
    """Return a buffer for POP3: a bare LF ends a line too, since people and scripts type it (D43)."""
    return LineBuffer(MAXIMUM_COMMAND_LINE_OCTETS, takes_bare_lf=True, limit_of=longest_line)
