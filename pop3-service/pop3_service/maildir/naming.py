"""What the name of a message file says: its order in the maildrop and its unique-id.

A Maildir name is `UNIQUE` while the message is in `new`, and `UNIQUE:2,FLAGS` in `cur`. Only
the part before the colon lasts as long as the message. File systems without colons have a semicolon
or an exclamation mark in its place. What programs write before it (`,S=`, `,W=`) belongs to that part:
it does not change with flags, and clients know messages by it.
"""

import re
from hashlib import blake2b

# RFC 1939, section 7 (UIDL): one to 70 characters from 0x21 to 0x7E.
_UNIQUE_ID = re.compile(rb"[!-~]{1,70}")
_TIMESTAMP = re.compile(rb"[0-9]+")
_DIGEST_OCTETS = 20
_FLAGS_WITHOUT_COLON = re.compile(rb"[;!]2,[A-Za-z]*\Z")


def unique_part(name: bytes) -> bytes:
    """Return the part of a file's name that flags and moves leave alone."""
    part, colon, _ = name.partition(b":")
    if not colon and b"2," in name and (flags := _FLAGS_WITHOUT_COLON.search(name)):
        return name[: flags.start()]
    return part


def maildrop_order(name: bytes) -> tuple[int, bytes]:
    """Return the sort key of a file: the number that its name begins with (or 0), then the name."""
    timestamp = _TIMESTAMP.match(name)
    return (int(timestamp[0]) if timestamp else 0, name)


def unique_id_of(part: bytes) -> bytes:
    """Return the unique-id for a unique part: itself where RFC 1939 allows it, else a digest."""
    return part if _UNIQUE_ID.fullmatch(part) else _encoded(part)


def unique_id_of_namesake(part: bytes, inode: int) -> bytes:
    """Return the unique-id of a second message whose name has the same unique part.

    It depends on the file alone, so it stays while flags and neighbours change.
    """
    return _encoded(b"%b:%d" % (part, inode))


def _encoded(text: bytes) -> bytes:
    # A unique part holds no colon. So a name never equals an encoded form, and the encoded
    # text of a namesake is never the unique part of another message.
    return b":" + blake2b(text, digest_size=_DIGEST_OCTETS).hexdigest().encode("ascii")
