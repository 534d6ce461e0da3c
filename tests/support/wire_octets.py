"""The octets of a whole message on the wire: what services count piece by piece."""

from pop3_service.protocol.multiline import LINE_FEED, missing_end_octets, octets_and_plainness


def octets_on_the_wire(content: bytes) -> int:
    """Return the octets of `content` on the wire, CRLF counted, before byte-stuffing (RFC 1939, section 11).

    A last line without an end gets one. Empty content has 0 octets.
    """
    octets, _ = octets_and_plainness(content)
    return octets + missing_end_octets(content[-1] if content else LINE_FEED)
