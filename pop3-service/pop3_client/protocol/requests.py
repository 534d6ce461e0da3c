"""Commands as octets. No error quotes an argument: it may be a password."""

from base64 import b64encode

from pop3_client.protocol.errors import InvalidArgument

LONGEST_AUTH_LINE_OCTETS = 255
"""RFC 5034, section 4: an initial response that makes the line longer has to wait for the server's `+`."""


def request(keyword: str, *arguments: str | int) -> bytes:
    """Return a command line. Raises `InvalidArgument`: a control character could begin another command."""
    line = " ".join([keyword, *map(str, arguments)])
    if any(ord(one) < 0x20 or ord(one) == 0x7F for one in line):
        raise InvalidArgument(f"{keyword} cannot carry a control character")
    return line.encode() + b"\r\n"


def plain_requests(username: str, password: str) -> list[bytes]:
    """Return the lines of AUTH PLAIN (RFC 4616), of which each but the first waits for the server's `+`."""
    if "\0" in username + password:
        raise InvalidArgument("AUTH cannot carry a NUL")
    response = b64encode(f"\0{username}\0{password}".encode())
    whole = b"AUTH PLAIN %b\r\n" % response
    if len(whole) <= LONGEST_AUTH_LINE_OCTETS:
        return [whole]
    return [b"AUTH PLAIN\r\n", response + b"\r\n"]
