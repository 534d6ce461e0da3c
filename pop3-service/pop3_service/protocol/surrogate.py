"""The surrogate of a message, for a client that has not asked for UTF-8 (RFC 6856, section 2.1).

Header fields with octets over 127 are rewritten in ASCII, as RFC 6855, section 7, and RFC 6858 let a
server do: text becomes encoded-words (RFC 2047), a parameter becomes an extended one (RFC 2231), an
address that ASCII cannot say becomes one that leads nowhere, and a field that has none of these ways is
left out. Every other octet of the message, its line ends and its body included, stays as it is.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from itertools import groupby
from typing import Final
from urllib.parse import quote

LONGEST_HEADER_OCTETS: Final = 256 * 1024
"""A message whose header does not end within so many octets is sent as it is.

A header has to be in memory as a whole to be rewritten, and memory for a message is limited. Mail
programs end theirs within a few KiB, and mail servers refuse far shorter ones than this.
"""

LONGEST_REWRITING_OCTETS: Final = 24 * 1024
"""So many octets of 8-bit fields are rewritten in one header; such fields beyond them are left out.

It bounds the time that a hostile header takes, and how much longer than the message its surrogate is.
"""

_LEAST_ELEMENT_OCTETS: Final = 24
"""A mailbox or a parameter counts as so many octets at least: short ones take most of the time."""

INVALID_ADDRESS: Final = b"<invalid@internationalized-address.invalid>"
"""Stands where ASCII cannot say the address (RFC 6858, section 2.1): `.invalid` is never delivered to."""

_LINE_OCTETS: Final = 76  # RFC 2047, section 2: the longest line that holds an encoded-word
_ENCODED_WORD_OCTETS: Final = 75
_LONGEST_LINE_OCTETS: Final = 998  # RFC 5322, section 2.1.1
_WIDE_SPACE: Final = b" " * 20  # so wide a gap says nothing, and could make a line too long
_PARAMETER_PIECE_OCTETS: Final = 16  # three characters each: with its name a piece fits on a line

_ADDRESS_FIELDS: Final = frozenset(
    prefix + name
    for prefix in (b"", b"resent-")
    for name in (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")
)
_PARAMETER_FIELDS: Final = frozenset({b"content-type", b"content-disposition"})
_LEFT_OUT: Final = frozenset(
    b"arc-authentication-results arc-message-signature arc-seal archived-at authentication-results "
    b"auto-submitted autocrypt content-base content-id content-language content-location content-md5 "
    b"content-transfer-encoding date delivered-to disposition-notification-to dkim-signature "
    b"domainkey-signature errors-to importance in-reply-to list-archive list-help list-id list-owner "
    b"list-post list-subscribe list-unsubscribe list-unsubscribe-post message-id mime-version "
    b"original-recipient priority received received-spf references resent-date resent-message-id "
    b"return-path return-receipt-to sensitivity x-original-to".split()
)

_BLANK_LINE: Final = re.compile(rb"(?:\A|\n)\r?\n")
_LINE_END: Final = re.compile(rb"\r?\n")
_FIELD: Final = re.compile(rb"[^\n]++\n?(?:[ \t][^\n]*+\n?)*+")
_NAME: Final = re.compile(rb"([!-9;-~]++)[ \t]*+:")
_WORD: Final = re.compile(rb" *+[^ ]++")  # never let it run into space at the end: see `_words`
# What an encoded-word may be made of in running text, and in a display name (RFC 2047, section 5).
_ENCODED_IN_TEXT: Final = re.compile(rb"=\?[!->@-~]++\?[bBqQ]\?[!->@-~]*+\?=")
_ENCODED_IN_PHRASE: Final = re.compile(rb"=\?[0-9A-Za-z!#$%&'*+^_`{|}~-]++\?[bBqQ]\?[0-9A-Za-z!*+/=_-]*+\?=")
_QUOTED: Final = rb'"(?:[^"\\]++|\\.?)*+"?'
# A comment may hold comments; two levels are seen, as deep as a person writes them.
_COMMENT: Final = rb"\((?:[^()\\]++|\\.?|\((?:[^()\\]++|\\.?)*+\)?)*+\)?"
_MAILBOX: Final = re.compile(
    rb'((?:[^"(<,;:\[]++|%b|%b|<[^>]*+>?|\[[^\]]*+\]?)*+)([,;:](?: *+[,;:])*+)?' % (_QUOTED, _COMMENT)
)
_PART: Final = re.compile(rb'(%b)|(%b)|(<[^>]*+>?)|[^"(<]++' % (_QUOTED, _COMMENT))
_PARAMETER: Final = re.compile(rb';((?:[^;"]++|%b)*+)' % _QUOTED)
_ATTRIBUTE: Final = re.compile(rb"([!#$&+.0-9A-Z^_`a-z{|}~-]{1,64}+) *+=")
_ESCAPED: Final = re.compile(rb"\\(.)")

# Folding white space has one form here, and a control character must not come out of an
# encoded-word as the beginning of a line.
_CONTROLS_TO_SPACE: Final = bytes(0x20 if octet < 0x20 or octet == 0x7F else octet for octet in range(256))


def needs_surrogate(start: bytes) -> bool:
    """Tell whether a client without UTF8 must get the surrogate of the message that begins with `start`.

    `start` is the message's first LONGEST_HEADER_OCTETS octets, or all of it.
    """
    return not start.isascii() and not start[: _header_end(start)].isascii()


def surrogate(start: bytes) -> bytes:
    """Return `start` with all its header in ASCII, and with nothing changed that is so already.

    `start` is the message's first LONGEST_HEADER_OCTETS octets, or all of it; what follows it in the
    message follows the result too. A text without a blank line is all header.
    """
    if not needs_surrogate(start):
        return start
    end = _header_end(start)
    return b"".join(_ascii_fields(start[:end])) + start[end:]


def _header_end(start: bytes) -> int:
    """Return where the header ends, the blank line left out; 0 where nothing may be rewritten."""
    blank_line = _BLANK_LINE.search(start, 0, LONGEST_HEADER_OCTETS)
    if blank_line is None:
        return len(start) if len(start) < LONGEST_HEADER_OCTETS else 0
    return blank_line.start() + 1 if blank_line.start() else 0


def _ascii_fields(header: bytes) -> Iterator[bytes]:
    octets_left = LONGEST_REWRITING_OCTETS
    for match in _FIELD.finditer(header):
        field = match[0]
        if field.isascii():
            yield field
        elif (cost := _rewriting_octets(field)) <= octets_left:
            octets_left -= cost
            yield _ascii_field(field)


def _rewriting_octets(field: bytes) -> int:
    """Return for how many octets the rewriting of a field counts."""
    delimiters = field.count(b",") + field.count(b";") + field.count(b":")
    return max(len(field), delimiters * _LEAST_ELEMENT_OCTETS)


def _ascii_field(field: bytes) -> bytes:
    """Return a field with octets over 127 in ASCII, b"" if it has to be left out."""
    name = _NAME.match(field)
    kind = name[1].lower() if name else b""
    if name is None or kind in _LEFT_OUT:
        return b""
    value = _LINE_END.sub(b"", field[name.end() :]).translate(_CONTROLS_TO_SPACE)
    folded = _FoldedField(name[1], b"\r\n" if b"\r\n" in field else b"\n")
    if kind in _ADDRESS_FIELDS:
        _add_mailboxes(folded, value)
    elif kind in _PARAMETER_FIELDS:
        if not _add_with_parameters(folded, value):
            return b""
    else:
        _add_words(folded, value)
    return folded.octets(is_ended=field.endswith(b"\n"))


class _FoldedField:
    """A field as it is written, in lines of 76 octets where its words allow it."""

    def __init__(self, name: bytes, line_end: bytes) -> None:
        self._line_end = line_end
        self._parts = [name, b":"]
        self._column = len(name) + 1
        self._is_first_word = True

    def add(self, word: bytes) -> None:
        """Append `word`, which has no space inside, but may have some in front."""
        if self._is_first_word or word.startswith(_WIDE_SPACE):
            word = b" " + word.lstrip(b" ")
        # A first line with nothing but the name is lawful, yet better avoided.
        is_glued = self._is_first_word or not word.startswith(b" ")
        self._add(word, _LONGEST_LINE_OCTETS if is_glued else _LINE_OCTETS)

    def _add(self, word: bytes, limit: int) -> None:
        if self._column + len(word) > limit:
            word = word if word.startswith(b" ") else b" " + word
            self._parts.append(self._line_end)
            self._column = 0
        self._parts.append(word)
        self._column += len(word)
        self._is_first_word = False

    def add_text(self, space: bytes, text: bytes) -> None:
        """Append `space`, and `text` as encoded-words, cut between characters."""
        opening = b"=?utf-8?b?" if _is_utf8(text) else b"=?unknown-8bit?b?"
        if not space or space.startswith(_WIDE_SPACE):
            space = b" "
        while text:
            room = min(_LINE_OCTETS - self._column - len(space), _ENCODED_WORD_OCTETS) - len(opening) - 2
            if room < 16:  # too few for two characters: better on a line of its own
                room = _ENCODED_WORD_OCTETS - len(opening) - 2
            count = _cut(text, room // 4 * 3)
            self._add(space + opening + b64encode(text[:count]) + b"?=", _LINE_OCTETS)
            text, space = text[count:], b" "

    def octets(self, *, is_ended: bool) -> bytes:
        """Return the field; `is_ended` tells whether its last line has an end."""
        return b"".join([*self._parts, self._line_end if is_ended else b""])


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _cut(octets: bytes, count: int) -> int:
    """Return `count`, or a little less where a character of UTF-8 would be cut there."""
    for shorter in range(min(3, count - 1) + 1):
        if count >= len(octets) or octets[count - shorter] & 0xC0 != 0x80:
            return count - shorter
    return count


def _words(text: bytes) -> list[bytes]:
    """Return the words of `text`, each with the space in front of it."""
    # The pattern would look for a word from every one of the spaces at the end.
    return _WORD.findall(text.rstrip(b" "))


def _kind(word: bytes) -> str:
    if not word.isascii():
        return "8-bit"
    return "encoded" if _ENCODED_IN_TEXT.fullmatch(word.lstrip(b" ")) else "plain"


def _add_words(folded: _FoldedField, text: bytes) -> None:
    """Append running text, its words with octets over 127 as encoded-words."""
    groups = [(key, list(group)) for key, group in groupby(_words(text), _kind)]
    for index, (key, group) in enumerate(groups):
        if key != "8-bit":
            for word in group:
                folded.add(word)
            continue
        run = b"".join(group)
        content = run.lstrip(b" ")
        space = run[: len(run) - len(content)]
        # Between two encoded-words space is not shown (RFC 2047, section 6.2): what has to be is
        # encoded itself.
        if index and groups[index - 1][0] == "encoded":
            content, space = space + content, b" "
        if index + 1 < len(groups) and groups[index + 1][0] == "encoded":
            content += b" "
        folded.add_text(space, content)


def _add_mailboxes(folded: _FoldedField, value: bytes) -> None:
    """Append a list of mailboxes and groups (RFC 5322, section 3.4)."""
    for match in _MAILBOX.finditer(value):
        mailbox, delimiter = match[1], match[2] or b""
        if mailbox.isascii():
            for word in _words(mailbox):
                folded.add(word)
        elif delimiter.startswith(b":"):
            _add_display_name(folded, _without_quotes(mailbox))
            delimiter = delimiter[1:]
            folded.add(b" :")  # no encoded-word may touch a special character (RFC 2047, section 5)
        else:
            _add_mailbox(folded, mailbox)
        for mark in delimiter.replace(b" ", b""):
            folded.add(bytes([mark]))


def _add_mailbox(folded: _FoldedField, mailbox: bytes) -> None:
    phrase, comment, address = [], [], b""
    for part in _PART.finditer(mailbox):
        if part[2]:
            comment.append(part[2][1:].removesuffix(b")"))
        elif part[3]:
            address = part[3]
        else:
            phrase.append(part[0])
    name = _without_quotes(b"".join(phrase))
    if not address:
        address, name = b"<" + b"".join(phrase).strip(), b""
    # Before there were display names, people wrote theirs in a comment behind the address.
    name = name.strip() or _ESCAPED.sub(rb"\1", b" ".join(comment)).strip()
    address = address.strip(b"<> ")
    if address and address.isascii():
        address = b"<" + address + b">"
    else:
        name, address = name or address, INVALID_ADDRESS
    _add_display_name(folded, name)
    for word in _words(b" " + address):
        folded.add(word)


def _without_quotes(phrase: bytes) -> bytes:
    def content(part: re.Match[bytes]) -> bytes:
        return _ESCAPED.sub(rb"\1", part[0][1:].removesuffix(b'"')) if part[1] else part[0]

    return _PART.sub(content, phrase) if b'"' in phrase else phrase


def _add_display_name(folded: _FoldedField, name: bytes) -> None:
    # A plain word may hold what has a meaning in an address, a comma or `<`. So all that is no
    # encoded-word already becomes one.
    run: list[bytes] = []
    for word in _words(name.strip()):
        if not _ENCODED_IN_PHRASE.fullmatch(word.lstrip(b" ")):
            run.append(word)
            continue
        if run:
            folded.add_text(b" ", b"".join(run) + b" ")
            run = []
        folded.add(b" " + word.lstrip(b" "))
    folded.add_text(b" ", b"".join(run))


def _add_with_parameters(folded: _FoldedField, value: bytes) -> bool:
    """Append a value with parameters (RFC 2045, section 5.1); False if it cannot be said in ASCII."""
    kind, _, _ = value.partition(b";")
    if not kind.isascii():
        return False
    for word in _words(kind):
        folded.add(word)
    for match in _PARAMETER.finditer(value, len(kind)):
        for parameter in _ascii_parameter(match[1].strip()):
            folded.add(b";")
            for word in _words(b" " + parameter):
                folded.add(word)
    return True


def _ascii_parameter(parameter: bytes) -> list[bytes]:
    """Return the parameter in the form of RFC 2231, in as many pieces as it takes."""
    if parameter.isascii():
        return [parameter] if parameter else []
    attribute = _ATTRIBUTE.match(parameter)
    if attribute is None:
        return []
    text = _without_quotes(parameter[attribute.end() :].strip())
    charset = b"utf-8''" if _is_utf8(text) else b"unknown-8bit''"
    pieces = []
    while text:
        count = _cut(text, _PARAMETER_PIECE_OCTETS)
        pieces.append(quote(text[:count], safe="").encode("ascii"))
        text = text[count:]
    if len(pieces) == 1:
        return [b"%b*=%b%b" % (attribute[1], charset, pieces[0])]
    return [
        b"%b*%d*=%b%b" % (attribute[1], number, b"" if number else charset, piece)
        for number, piece in enumerate(pieces)
    ]
