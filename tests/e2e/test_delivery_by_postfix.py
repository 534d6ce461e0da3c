"""Postfix delivers into the mail volume as docs/delivery/postfix.md says, Peep serves what it delivered."""

import itertools
import re
import smtplib
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.mail_servers import (
    DELIVERY_SECONDS,
    DeliveringContainers,
    added_fields,
    number_of_messages,
    retrieved,
)
from support.pop3_process import PASSWORD, Pop3Client, wait_until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

HEAD = (
    b"From: sender@example.com\r\nTo: ann@example.org\r\nSubject: hello\r\n"
    b"Date: Fri, 27 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n"
)
BODIES = {
    "dots at line starts": b".\r\n..\r\n...\r\n.dot\r\n. \r\n.\r\n",
    "long lines": b"x" * 998 + b"\r\n" + b"y" * 5_000 + b"\r\n." + b"z" * 100_000 + b"\r\n",
    "8-bit": bytes(range(0x80, 0x100)) + b"\r\n.\xe4\r\n",
    "control characters": bytes(octet for octet in range(1, 32) if octet not in b"\r\n") + b"\r\n",
    "empty lines": b"\r\n\r\nx\r\n\r\n\r\n",
    "no body": b"",
    "mbox's From": b"From here\r\n>From there\r\n",
    "white space at line ends": b"a \r\n\t\r\n \r\n",
}

ADDED = {"Return-Path", "X-Original-To", "Delivered-To", "Received"}
"""What the page says that Postfix puts on top."""

READERS = ("reader1@example.org", "reader2@example.org", "reader3@example.org", "reader4@example.org")
SENDERS = 4
MESSAGES = 1_000


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_message_comes_out_with_the_octets_it_went_in_with(
    delivering: DeliveringContainers, body: bytes
) -> None:
    message = HEAD + b"\r\n" + body
    delivering.send("postfix", message, "ann@example.org")
    assert added_fields(delivering.fetch_and_remove("ann@example.org"), message) == ADDED


def test_message_without_a_last_line_end_gets_one(delivering: DeliveringContainers) -> None:
    message = HEAD + b"\r\nthe last line"
    with delivering.smtp("postfix") as client:
        client.ehlo()
        assert client.mail("sender@example.com")[0] == 250
        assert client.rcpt("ann@example.org")[0] == 250
        # In DATA a line end comes before the final dot; in a chunk (RFC 3030) nothing says where it ends.
        client.putcmd(f"BDAT {len(message)} LAST")
        client.send(message)
        assert client.getreply()[0] == 250
    assert added_fields(delivering.fetch_and_remove("ann@example.org"), message + b"\r\n") == ADDED


def test_what_is_delivered_belongs_to_peeps_user_alone(delivering: DeliveringContainers) -> None:
    delivering.send("postfix", HEAD + b"\r\nhello\r\n", "bob@example.net")
    with delivering.log_in_to("bob@example.net", 1) as client:
        entries = list(delivering.entries("bob@example.net"))
        client.ask("DELE 1")
        client.quit()
    assert {(entry.owner, entry.group) for entry in entries} == {(10001, 10001)}
    # Whichever server made them: as the mail directory, or closed to the group as well.
    assert {entry.permissions for entry in entries[1:] if entry.is_folder} <= {0o700, 0o750}
    assert [entry.permissions for entry in entries if entry.is_message] == [0o600]
    assert {entry.path.rpartition("/")[2] for entry in entries if entry.is_folder} > {"new", "cur", "tmp"}


def test_mail_for_a_stranger_is_refused_and_makes_no_maildir(delivering: DeliveringContainers) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        delivering.send("postfix", HEAD + b"\r\nhello\r\n", "nobody@example.org")
    ((code, _),) = refused.value.recipients.values()
    assert code == 550


def test_delivery_while_a_session_is_open_shows_in_the_next_one(delivering: DeliveringContainers) -> None:
    delivering.send("postfix", HEAD + b"\r\nfirst\r\n", "ann@example.org")
    with delivering.log_in_to("ann@example.org", 1) as client:
        delivering.send("postfix", HEAD + b"\r\nsecond\r\n", "ann@example.org")
        files = wait_for_files(delivering, "ann@example.org", 2)
        assert number_of_messages(client) == 1
        assert client.ask("LIST 2").startswith(b"-ERR")
        assert retrieved(client, 1).endswith(b"\r\nfirst\r\n")
        assert client.ask("DELE 1").startswith(b"+OK")
        assert client.quit().startswith(b"+OK")
    assert len(wait_for_files(delivering, "ann@example.org", 1) & files) == 1
    assert delivering.fetch_and_remove("ann@example.org").endswith(b"\r\nsecond\r\n")


def wait_for_files(delivering: DeliveringContainers, username: str, number: int) -> set[str]:
    """Return the paths of a user's messages once there are so many."""

    def files() -> set[str]:
        return {entry.path for entry in delivering.entries(username) if entry.is_message}

    wait_until(lambda: len(files()) == number, f"{number} files", DELIVERY_SECONDS)
    return files()


def test_thousand_messages_beside_readers_who_fetch_and_delete_come_each_once(
    delivering: DeliveringContainers,
) -> None:
    removed_before = delivering.counters()["removed_emails"]
    numbers = [str(number) for number in range(MESSAGES)]
    reading = Reading(delivering)
    with ThreadPoolExecutor(SENDERS + 2 * len(READERS)) as threads:
        # Two for each maildrop, which only one of them may have at a time.
        readers = [threads.submit(reading.read, username) for username in READERS * 2]
        senders = [
            threads.submit(send_numbered, delivering, numbers[first::SENDERS]) for first in range(SENDERS)
        ]
        try:
            for sender in senders:
                sender.result()
            wait_until(lambda: len(reading.taken) >= MESSAGES, "all are fetched", DELIVERY_SECONDS * 4)
        finally:
            reading.is_over.set()
        for reader in readers:
            reader.result()
    assert Counter(reading.taken) == Counter(numbers)
    assert all(wait_for_files(delivering, username, 0) == set() for username in READERS)
    wait_until(
        lambda: delivering.counters()["removed_emails"] - removed_before == MESSAGES, "all are counted"
    )


def send_numbered(delivering: DeliveringContainers, numbers: Iterable[str]) -> None:
    """Send a message for each number, to the readers in turn, over one connection."""
    recipients = itertools.cycle(READERS)
    with delivering.smtp("postfix") as client:
        for number in numbers:
            message = b"X-Number: %b\r\n%b\r\n.a line\r\n" % (number.encode(), HEAD)
            client.sendmail("sender@example.com", next(recipients), message)


class Reading:
    """What all readers have taken: the numbers of the messages that they fetched, and then removed."""

    def __init__(self, delivering: DeliveringContainers) -> None:
        self._address = ("127.0.0.1", delivering.pop3)
        self.taken: list[str] = []
        self.is_over = threading.Event()

    def read(self, username: str) -> None:
        """Fetch and delete one user's mail until all is over; every fourth session is broken off."""
        for turn in itertools.count(1):
            if self.is_over.wait(0.02):
                return
            with Pop3Client(self._address) as client:
                client.ask(f"USER {username}")
                reply = client.ask(f"PASS {PASSWORD}")
                if reply.startswith(b"-ERR [IN-USE]"):
                    continue
                assert reply.startswith(b"+OK"), reply
                fetched = self._fetch_and_mark(client)
                if turn % 4:
                    assert client.quit().startswith(b"+OK")
                    self.taken += fetched

    def _fetch_and_mark(self, client: Pop3Client) -> list[str]:
        fetched = []
        for number in range(1, number_of_messages(client) + 1):
            match = re.search(rb"^X-Number: (\d+)\r$", retrieved(client, number), re.MULTILINE)
            assert match is not None
            fetched.append(match[1].decode())
            assert client.ask(f"DELE {number}").startswith(b"+OK")
        return fetched
