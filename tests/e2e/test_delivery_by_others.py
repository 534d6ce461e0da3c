"""Dovecot and Exim deliver as their pages in docs/delivery say, and Peep serves what they delivered."""

import smtplib

import pytest

from support.mail_servers import DeliveringContainers, added_fields

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

OTHERS = ("dovecot", "exim")
MESSAGE = (
    b"From: sender@example.com\r\nTo: ann@example.org\r\nSubject: hello\r\n"
    b"Date: Fri, 27 Nov 2026 10:00:00 +0000\r\nMessage-ID: <2@example.com>\r\n\r\n"
    b".\r\n..\r\n.dot\r\n\xe4\xff\r\nFrom here\r\n \r\n\r\n" + b"x" * 990 + b"\r\n.\r\n"
)
ADDED = {
    "dovecot": {"Return-Path", "Delivered-To", "Received"},
    "exim": {"Return-path", "Envelope-to", "Delivery-date", "Received"},
}
"""What the pages say that each puts on top."""


@pytest.mark.parametrize("server", OTHERS)
def test_message_comes_out_with_the_octets_it_went_in_with(
    delivering: DeliveringContainers, server: str
) -> None:
    delivering.send(server, MESSAGE, "ann@example.org")
    assert added_fields(delivering.fetch_and_remove("ann@example.org"), MESSAGE) == ADDED[server]


@pytest.mark.parametrize("server", OTHERS)
def test_what_is_delivered_belongs_to_peeps_user_alone(delivering: DeliveringContainers, server: str) -> None:
    delivering.send(server, MESSAGE, "bob@example.net")
    with delivering.log_in_to("bob@example.net", 1) as client:
        entries = list(delivering.entries("bob@example.net"))
        client.ask("DELE 1")
        client.quit()
    assert {(entry.owner, entry.group) for entry in entries} == {(10001, 10001)}
    # Dovecot does as the mail directory does, which is open to its group; Exim is stricter.
    assert {entry.permissions for entry in entries[1:] if entry.is_folder} <= {0o700, 0o750}
    assert [entry.permissions & ~0o040 for entry in entries if entry.is_message] == [0o600]


@pytest.mark.parametrize("server", OTHERS)
def test_mail_for_a_stranger_is_refused(delivering: DeliveringContainers, server: str) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        delivering.send(server, MESSAGE, "nobody@example.org")
    ((code, _),) = refused.value.recipients.values()
    assert code == 550


def test_dovecots_delivery_agent_run_as_peeps_user_delivers_too(delivering: DeliveringContainers) -> None:
    agent = ("/usr/lib/dovecot/dovecot-lda", "-d", "ann@example.org")
    delivering.compose("exec", "--no-TTY", "--user", "10001:10001", "dovecot", *agent, octets=MESSAGE)
    fetched = delivering.fetch_and_remove("ann@example.org")
    assert fetched.endswith(MESSAGE)
