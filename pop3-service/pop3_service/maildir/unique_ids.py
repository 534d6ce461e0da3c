"""The unique-id of each message (UIDL), which stays the same in all sessions.

A Maildir name is `UNIQUE` while the message is in `new`, and `UNIQUE:2,FLAGS` in `cur`. Only the part before
the colon, its unique part, stays as long as the message, and it is the unique-id. File systems without
colons have a semicolon or an exclamation mark instead. The fields before it (`,S=`, `,W=`) belong to the
unique part: they do not change with flags, and clients know messages by it.

Two files with the same unique part are two messages: one has the plain unique-id, the other one a unique-id
of its own. It keeps that when the first one is gone, after a restart and in another process. So such a
unique-id is noted in the maildir (`noted.py`), as are those of a server that was there before Peep.
"""

import re
from hashlib import blake2b

# RFC 1939, section 7 (UIDL): one to 70 characters from 0x21 to 0x7E.
_UNIQUE_ID = re.compile(rb"[!-~]{1,70}")
_DIGEST_OCTETS = 20
_FLAGS_WITHOUT_COLON = re.compile(rb"[;!]2,[A-Za-z]*\Z")

OWN_FORM = re.compile(rb":[0-9a-f]{40}")
"""How unique-ids look that are not the unique part of a name. No other server's are taken in this form."""


def unique_part(name: bytes) -> bytes:
    """Return the part of a file's name that stays when flags change and the file moves."""
    part, colon, _ = name.partition(b":")
    if not colon and b"2," in name and (flags := _FLAGS_WITHOUT_COLON.search(name)):
        return name[: flags.start()]
    return part


def is_foreign_unique_id(text: bytes) -> bool:
    """Return whether another server's unique-id can be kept."""
    return _UNIQUE_ID.fullmatch(text) is not None and OWN_FORM.fullmatch(text) is None


def unique_id_of(part: bytes) -> bytes:
    """Return the unique-id for a unique part: itself where RFC 1939 allows it, else a digest."""
    return part if _UNIQUE_ID.fullmatch(part) else encoded(part)


def unique_id_of_namesake(part: bytes, inode: int) -> bytes:
    """Return the unique-id of a second message with the same unique part; it depends on the file alone."""
    return encoded(b"%b:%d" % (part, inode))


def encoded(text: bytes) -> bytes:
    """Return the unique-id for a text that depends on a unique part."""
    # A unique part contains no colon. So no unique part equals an encoded text, and the text of a
    # namesake is never the unique part of another message.
    return b":" + blake2b(text, digest_size=_DIGEST_OCTETS).hexdigest().encode("ascii")
