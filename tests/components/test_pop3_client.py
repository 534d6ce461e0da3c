"""The POP3 client over real sockets, with servers as they should be and with servers that lie."""

import ssl
from pathlib import Path

import pytest

from pop3_client import (
    ConnectionLost,
    InvalidArgument,
    ListedMessage,
    LoginPutOff,
    Misbehaved,
    Pop3Client,
    Pop3Error,
    Refused,
    Security,
    TimeLimits,
    Unreachable,
    WrongLogin,
    tls_context,
)
from support.certificates import Authority
from support.scripted_pop3 import DRIP, PASSWORD, SILENCE, Close, ScriptedServer, multiline, serving

FIRST = b"Subject: one\r\n\r\n.dot\r\n..\r\nlast\r\n"
SECOND = b"Subject: two\r\n\r\n" + 9000 * b"a line of a long message\r\n"
SHORT = TimeLimits(connect=5, silence=0.05, login=5, listing=5, quit=0.05)


def server_with_mail() -> ScriptedServer:
    return ScriptedServer({"alice": [(b"id-1", FIRST), (b"id-2", SECOND)]})


async def logged_in(server: ScriptedServer, limits: TimeLimits | None = None) -> Pop3Client:
    client = await Pop3Client.connect(server.address(), limits=limits or TimeLimits())
    await client.log_in("alice", PASSWORD)
    return client


async def fetched(client: Pop3Client, number: int) -> bytes:
    return b"".join([piece async for piece in client.message(number)])


async def everything(client: Pop3Client) -> None:
    await client.log_in("alice", PASSWORD)
    await client.messages()
    await fetched(client, 1)


def contexts(authority: Authority, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the server's and the client's context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(folder))
    return context, tls_context(str(authority.ca_file(folder)))


async def test_session_lists_and_fetches_and_removes_nothing() -> None:
    async with serving(server_with_mail()) as server, await logged_in(server) as client:
        assert await client.messages() == [
            ListedMessage(1, len(FIRST), b"id-1"),
            ListedMessage(2, len(SECOND), b"id-2"),
        ]
        assert await fetched(client, 1) == FIRST
        assert await fetched(client, 2) == SECOND
        assert b"".join([one async for one in client.header(1)]) == b"Subject: one\r\n\r\n"
    assert server.asked == [
        *(b"CAPA", b"USER alice", b"PASS secret", b"LIST", b"UIDL"),
        *(b"RETR 1", b"RETR 2", b"TOP 1 0", b"QUIT"),
    ]


async def test_plain_is_used_where_it_is_offered() -> None:
    server = server_with_mail()
    server.capabilities.append(b"SASL PLAIN")
    async with serving(server), await logged_in(server):
        assert server.asked == [b"CAPA", b"AUTH PLAIN AGFsaWNlAHNlY3JldA=="]


async def test_long_password_waits_for_the_challenge() -> None:
    server = server_with_mail()
    server.capabilities.append(b"SASL PLAIN")
    server.lies[b"AUTH PLAIN"] = b"+ \r\n"
    async with serving(server), await Pop3Client.connect(server.address()) as client:
        with pytest.raises(Refused):  # the script knows no line of base64
            await client.log_in("alice", 300 * "x")
        assert len(server.asked[-1]) > 300


@pytest.mark.parametrize("challenge", [b"+OK go on\r\n", b"-ERR [AUTH] no\r\n"])
async def test_password_is_not_sent_without_a_challenge(challenge: bytes) -> None:
    server = server_with_mail()
    server.capabilities.append(b"SASL PLAIN")
    server.lies[b"AUTH PLAIN"] = challenge
    async with serving(server), await Pop3Client.connect(server.address()) as client:
        with pytest.raises((WrongLogin, Misbehaved)):
            await client.log_in("alice", 300 * "x")
        assert server.asked[1:] == [b"AUTH PLAIN"]


@pytest.mark.parametrize(
    ("lie", "error"),
    [(None, WrongLogin), (b"-ERR [SYS/TEMP] away\r\n", LoginPutOff), (b"hm\r\n", Misbehaved)],
)
async def test_refused_login_says_why_and_quotes_no_password(
    lie: bytes | None, error: type[Pop3Error]
) -> None:
    server = server_with_mail()
    if lie is not None:
        server.lies[b"PASS geheim"] = lie
    async with serving(server), await Pop3Client.connect(server.address()) as client:
        with pytest.raises(error) as refusal:
            await client.log_in("alice", "geheim")
    assert "geheim" not in str(refusal.value)


@pytest.mark.parametrize("security", [Security.TLS, Security.STLS])
async def test_session_inside_tls(security: Security, tmp_path: Path) -> None:
    server = server_with_mail()
    server.tls, client_tls = contexts(Authority(), tmp_path)
    server.starts_with_tls = security is Security.TLS
    async with serving(server), await Pop3Client.connect(server.address(security), client_tls) as client:
        await client.log_in("alice", PASSWORD)
        assert await fetched(client, 2) == SECOND


@pytest.mark.parametrize("security", [Security.TLS, Security.STLS])
async def test_certificate_that_is_not_trusted_ends_it_before_the_password(
    security: Security, tmp_path: Path
) -> None:
    server = server_with_mail()
    server.tls, _ = contexts(Authority(), tmp_path)
    server.starts_with_tls = security is Security.TLS
    async with serving(server):
        with pytest.raises(Unreachable, match="certificate is not trusted"):
            await Pop3Client.connect(server.address(security))
    assert not any(line.startswith(b"USER") for line in server.asked)


async def test_reply_that_comes_before_tls_does_not_live_on_in_it(tmp_path: Path) -> None:
    server = server_with_mail()
    server.tls, client_tls = contexts(Authority(), tmp_path)
    server.lies[b"STLS"] = b"+OK begin\r\n+OK injected\r\n"
    async with serving(server):
        with pytest.raises(Unreachable, match="between the reply to STLS and TLS"):
            await Pop3Client.connect(server.address(Security.STLS), client_tls)


async def test_server_without_stls_gets_no_password() -> None:
    async with serving(server_with_mail()) as server:
        with pytest.raises(Unreachable, match="it refuses STLS"):
            await Pop3Client.connect(server.address(Security.STLS))
    assert server.asked == [b"STLS"]


@pytest.mark.parametrize(
    ("greeting", "why"),
    [
        (b"-ERR too many connections\r\n", "too many connections"),
        (b"220 mail ESMTP\r\n", "neither"),
        (b"", "no answer in time"),
        (b"+" * 5000, "more than 4,096 octets"),
    ],
)
async def test_greeting_that_is_none(greeting: bytes, why: str) -> None:
    server = server_with_mail()
    server.greeting = greeting
    async with serving(server):
        with pytest.raises(Unreachable, match=why):
            await Pop3Client.connect(server.address(), limits=SHORT)


async def test_nobody_listens() -> None:
    async with serving(server_with_mail()) as server:
        pass
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:"):
        await Pop3Client.connect(server.address())


def _close() -> bytes:
    raise Close


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (_close, ConnectionLost),
        (SILENCE, ConnectionLost),
        (b"+OK\r\n1 10\r\n", ConnectionLost),
        (b"+OK\r\n1 ten\r\n.\r\n", Misbehaved),
        (b"+OK\r\n" + 9000 * b"1", Misbehaved),
        (b"-ERR not today\r\n", Refused),
    ],
)
async def test_listing_that_is_none(reply: bytes, error: type[Pop3Error]) -> None:
    server = server_with_mail()
    server.lies[b"LIST"] = reply
    async with serving(server), await logged_in(server, SHORT) as client:
        with pytest.raises(error):
            await client.messages()


async def test_reply_that_nobody_asked_for_is_not_taken_for_the_next_one() -> None:
    server = server_with_mail()
    server.lies[b"LIST"] = multiline([b"1 10"]) + b"+OK surplus\r\n"
    async with serving(server), await logged_in(server) as client:
        with pytest.raises(Misbehaved, match="nobody asked for"):
            await client.messages()


async def test_session_goes_on_after_a_refusal_and_is_over_after_a_failure() -> None:
    server = server_with_mail()
    server.lies[b"RETR 1"] = b"-ERR gone\r\n"
    async with serving(server):
        client = await logged_in(server)
        with pytest.raises(Refused):
            await fetched(client, 1)
        assert await fetched(client, 2) == SECOND
        server.lies[b"RETR 2"] = _close
        with pytest.raises(ConnectionLost, match="it has closed the connection"):
            await fetched(client, 2)
        with pytest.raises(ConnectionLost, match="the session is over"):
            await fetched(client, 1)
        await client.close()


@pytest.mark.parametrize(
    ("command", "limits"),
    [
        (b"RETR 1", TimeLimits(silence=0.1)),
        (b"LIST", TimeLimits(listing=0.1)),
        (b"PASS secret", TimeLimits(login=0.1)),
    ],
)
async def test_reply_that_drips_is_given_up(command: bytes, limits: TimeLimits) -> None:
    server = server_with_mail()
    server.lies[command] = b"+OK" + DRIP + b"x" if command.startswith(b"PASS") else b"+OK\r\n" + DRIP + b"1"
    async with serving(server):
        client = await Pop3Client.connect(server.address(), limits=limits)
        with pytest.raises(ConnectionLost, match=r"too slowly|no answer in time"):
            await everything(client)
        await client.close()


async def test_message_that_is_left_half_way_ends_the_session() -> None:
    async with serving(server_with_mail()) as server:
        client = await logged_in(server)
        pieces = client.message(2)
        await anext(pieces)
        await pieces.aclose()
        with pytest.raises(ConnectionLost, match="the session is over"):
            await client.messages()


def test_file_of_authorities_must_hold_some(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(InvalidArgument, match="no PEM certificates in it"):
        tls_context(str(empty))
    with pytest.raises(InvalidArgument, match="cannot be read: No such file"):
        tls_context(str(tmp_path / "absent.pem"))
