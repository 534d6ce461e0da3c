"""RETR and TOP of messages with 8-bit header fields: what LIST announced, however the file is read."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from line_server.connection import LineConnection
from pop3_service import delivery
from pop3_service.delivery import deliver, whole_if_cached
from pop3_service.maildir import Maildirs, MessageFile, read
from pop3_service.maildir.whereabouts import Whereabouts
from pop3_service.protocol.maildrop import Message
from pop3_service.protocol.multiline import TERMINATION_LINE
from pop3_service.protocol.surrogate import LONGEST_HEADER_OCTETS
from pop3_service.resources import Resources

MESSAGE = (
    "Received: fröm a\nFrom: José <jose@example.org>\nSubject: "
    + "Grüße " * 40
    + "\n\n.ä line\nsecond\nthird\n"
).encode()


class Client:
    """Takes what is sent to a connection, at once."""

    def __init__(self) -> None:
        self.received = b""

    def send(self, octets: bytes) -> None:
        self.received += octets

    async def drained(self) -> None:
        await asyncio.sleep(0)


def listed(maildir: Path, content: bytes) -> tuple[Message, Message]:
    """Return the message as clients with UTF8 and as those without it get it."""
    for folder in ("new", "cur"):
        (maildir / folder).mkdir(exist_ok=True)
    (maildir / "new" / "1.a").write_bytes(content)
    contents = Maildirs().scan(os.fsencode(maildir))
    (message,), (for_ascii,) = contents.messages, contents.for_ascii.messages
    return message, for_ascii


async def delivered(maildir: Path, message: Message, body_lines: int | None = None) -> bytes:
    client = Client()
    with ThreadPoolExecutor(1) as disk_threads:
        resources = cast(Resources, SimpleNamespace(disk_threads=disk_threads))
        file = MessageFile.open(os.fsencode(maildir), message, Whereabouts())
        last = await deliver(cast(LineConnection, client), resources, file, body_lines)
    return client.received + last


def unstuffed(wire: bytes) -> bytes:
    assert wire.endswith(b"\r\n" + TERMINATION_LINE)
    return wire.removesuffix(TERMINATION_LINE).replace(b"\r\n..", b"\r\n.")


async def test_retr_sends_the_octets_that_were_announced(tmp_path: Path) -> None:
    message, for_ascii = listed(tmp_path, MESSAGE)
    original = unstuffed(await delivered(tmp_path, message))
    result = unstuffed(await delivered(tmp_path, for_ascii))
    assert len(original) == message.octets
    assert original.replace(b"\r\n", b"\n") == MESSAGE
    assert len(result) == for_ascii.octets == message.surrogate_octets
    header, blank_line, body = result.partition(b"\r\n\r\n")
    assert header.isascii()
    assert blank_line + body == b"\r\n\r\n" + ".ä line\r\nsecond\r\nthird\r\n".encode()
    assert for_ascii.unique_id == message.unique_id


async def test_what_is_in_memory_is_sent_in_the_same_form(tmp_path: Path) -> None:
    _, for_ascii = listed(tmp_path, MESSAGE)
    whole = whole_if_cached(os.fsencode(tmp_path), for_ascii)
    if whole is None:
        pytest.skip("this file system cannot read without waiting")
    assert whole == await delivered(tmp_path, for_ascii)


async def test_top_shows_the_top_of_the_surrogate(tmp_path: Path) -> None:
    _, for_ascii = listed(tmp_path, MESSAGE)
    whole = await delivered(tmp_path, for_ascii)
    top = await delivered(tmp_path, for_ascii, body_lines=1)
    assert top == whole.replace(b"second\r\nthird\r\n", b"")
    assert await delivered(tmp_path, for_ascii, body_lines=0) == top.replace("..ä line\r\n".encode(), b"")


@pytest.mark.parametrize("count", [1, 7, 100])
async def test_short_reads_do_not_change_the_surrogate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    _, for_ascii = listed(tmp_path, MESSAGE)
    expected = await delivered(tmp_path, for_ascii)
    real_pread = os.pread
    monkeypatch.setattr(read, "_NOWAIT", None)
    monkeypatch.setattr(os, "pread", lambda file, _, position: real_pread(file, count, position))
    assert await delivered(tmp_path, for_ascii) == expected


async def test_a_message_longer_than_its_first_chunk_has_its_announced_octets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, for_ascii = listed(tmp_path, MESSAGE + b"\n.\xff line\r\n" * (LONGEST_HEADER_OCTETS // 8))
    expected = unstuffed(await delivered(tmp_path, for_ascii))
    assert len(expected) == for_ascii.octets != message.octets
    monkeypatch.setattr(delivery, "CHUNK_OCTETS", 100_003)
    assert unstuffed(await delivered(tmp_path, for_ascii)) == expected


@pytest.mark.parametrize("excess", [-1, 0, 1])
async def test_a_header_about_as_long_as_the_limit_is_announced_as_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, excess: int
) -> None:
    field = b"Subject: \xc3\xa9\nX: "
    filling = b"x" * (LONGEST_HEADER_OCTETS + excess - len(field) - 2)
    message, for_ascii = listed(tmp_path, field + filling + b"\n\n\xffbody\n")
    is_rewritten = excess <= 0
    assert (message.surrogate_octets is not None) is is_rewritten
    assert for_ascii.is_surrogate is is_rewritten
    monkeypatch.setattr(delivery, "CHUNK_OCTETS", LONGEST_HEADER_OCTETS - 100)
    result = unstuffed(await delivered(tmp_path, for_ascii))
    assert len(result) == for_ascii.octets
    assert result.partition(b"\r\n\r\n")[0].isascii() is is_rewritten


async def test_a_text_that_is_all_header_may_vanish_whole(tmp_path: Path) -> None:
    _, for_ascii = listed(tmp_path, b"Received: \xff")
    assert for_ascii.octets == 0
    assert await delivered(tmp_path, for_ascii) == TERMINATION_LINE
