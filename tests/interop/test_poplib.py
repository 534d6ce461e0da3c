"""Python's own POP3 client against the service, with messages that we did not write."""

import importlib.util
import poplib
from pathlib import Path

import pytest

from support.certificates import Authority
from support.clients import LifelikeMaildrop, Way
from support.lifelike_mail import MESSAGES, first_difference
from support.pop3_process import PASSWORD, SECONDS, Pop3Process


def connect(service: Pop3Process, authority: Authority, way: Way) -> poplib.POP3:
    host, port = way.address(service)
    if way is Way.POP3S:
        return poplib.POP3_SSL(host, port, timeout=SECONDS, context=authority.client_context())
    client = poplib.POP3(host, port, timeout=SECONDS)
    if way is Way.STLS:
        client.stls(authority.client_context())
    return client


def log_in(service: Pop3Process, authority: Authority, username: str, way: Way = Way.PLAIN) -> poplib.POP3:
    client = connect(service, authority, way)
    client.user(username)
    client.pass_(PASSWORD)
    return client


def fetch_all(client: poplib.POP3) -> list[bytes]:
    """Fetch the 200 messages, in the order of their numbers, and see that LIST announced their octets."""
    _, listing, _ = client.list()
    stored = []
    for number in range(1, MESSAGES + 1):
        _, lines, _ = client.retr(number)
        stored.append(b"".join(line + b"\n" for line in lines))
        assert listing[number - 1] == b"%d %d" % (number, sum(len(line) + 2 for line in lines))
    return stored


@pytest.mark.parametrize("way", Way)
def test_poplib_fetches_lifelike_messages_exactly(
    way: Way, service: Pop3Process, authority: Authority, maildrop: LifelikeMaildrop
) -> None:
    client = log_in(service, authority, maildrop.username, way)
    assert first_difference(fetch_all(client), in_order=True) == ""
    client.quit()
    maildrop.expect_kept()


@pytest.mark.parametrize("way", Way)
def test_poplib_fetches_lifelike_messages_and_deletes_them(
    way: Way, service: Pop3Process, authority: Authority, maildrop: LifelikeMaildrop
) -> None:
    client = log_in(service, authority, maildrop.username, way)
    assert first_difference(fetch_all(client), in_order=True) == ""
    for number in range(1, MESSAGES + 1):
        client.dele(number)
    assert client.quit().startswith(b"+OK")
    maildrop.expect_removed()


def lines_of(message: bytes) -> list[bytes]:
    """Return the lines of a message as CRLF and LF end them, without their ends."""
    lines = message.replace(b"\r\n", b"\n").split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def fetch_and_compare(service: Pop3Process, authority: Authority, messages: list[bytes]) -> None:
    client = log_in(service, authority, service.add_user(*messages))
    assert client.stat()[0] == len(messages)
    _, listing, _ = client.list()
    for number, message in enumerate(messages, 1):
        _, lines, _ = client.retr(number)
        assert lines == lines_of(message)
        octets = sum(len(line) + 2 for line in lines)
        assert listing[number - 1] == b"%d %d" % (number, octets)
    client.quit()


def test_poplib_fetches_the_messages_of_pythons_own_tests_exactly(
    service: Pop3Process, authority: Authority
) -> None:
    # Looked for without an import: the package's own __init__ has effects.
    found = importlib.util.find_spec("test")
    folders = list(found.submodule_search_locations or []) if found is not None else []
    paths = [path for folder in folders for path in sorted(Path(folder, "test_email/data").glob("msg_*.txt"))]
    if not paths:
        pytest.skip("this Python comes without its tests; Peep's sample messages are fetched by another test")
    messages = [path.read_bytes() for path in paths]
    fetch_and_compare(service, authority, messages)


def test_poplib_fetches_peeps_sample_messages_exactly(service: Pop3Process, authority: Authority) -> None:
    found = importlib.util.find_spec("peepctl.up")
    assert found is not None
    folders = found.submodule_search_locations or []
    paths = [path for folder in folders for path in sorted(Path(folder, "samples").glob("*.eml"))]
    assert paths
    fetch_and_compare(service, authority, [path.read_bytes() for path in paths])


def test_poplib_uses_every_command_it_knows(service: Pop3Process, authority: Authority) -> None:
    username = service.add_user(b"Subject: one\n\n1\n2\n", b"Subject: two\n\n.\n")
    client = log_in(service, authority, username)
    assert "APOP" not in client.getwelcome().decode()
    assert {"TOP", "UIDL", "USER", "PIPELINING"} <= client.capa().keys()
    assert client.stat() == (2, 41)
    assert client.top(1, 1)[1] == [b"Subject: one", b"", b"1"]
    assert client.uidl()[1] == [client.uidl(1)[4:], client.uidl(2)[4:]]
    assert client.retr(2)[1] == [b"Subject: two", b"", b"."]
    client.dele(1)
    with pytest.raises(poplib.error_proto, match="marked as deleted"):
        client.retr(1)
    client.rset()
    client.noop()
    client.dele(2)
    assert client.quit().startswith(b"+OK")
    assert len(service.files(username)) == 1


@pytest.mark.parametrize("way", Way)
def test_poplib_is_told_that_the_password_is_wrong(
    way: Way, service: Pop3Process, authority: Authority
) -> None:
    client = connect(service, authority, way)
    client.user(service.add_user())
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        client.pass_("wrong")
    client.quit()
