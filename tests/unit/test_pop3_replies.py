import pytest

from pop3_service.protocol import replies

CONSTANTS = [text for text in vars(replies).values() if isinstance(text, bytes)]


@pytest.mark.parametrize("reply", CONSTANTS)
def test_reply_is_one_short_line_of_printable_ascii(reply: bytes) -> None:
    assert len(reply) <= 512
    assert reply.endswith(b"\r\n")
    assert reply[:-2].decode("ascii").isprintable()
    assert reply.startswith((b"+OK", b"-ERR "))


def test_negative_replies_all_differ() -> None:
    negative = [reply for reply in CONSTANTS if reply.startswith(b"-ERR")]
    assert len(set(negative)) == len(negative) > 20


def test_refusal_over_the_limit_names_the_limit() -> None:
    assert replies.too_many_connections(1000) == b"-ERR [SYS/TEMP] too many connections (limit 1000)\r\n"
    assert replies.too_many_connections_of_address(5) == (
        b"-ERR [SYS/TEMP] too many connections from your address (limit 5)\r\n"
    )


def test_refusals_of_operators_give_their_reason() -> None:
    assert replies.suspended("the bill is open") == b"-ERR [AUTH] the bill is open\r\n"
    assert replies.suspended("") == b"-ERR [AUTH] this account is suspended\r\n"
    assert replies.banned("too many guesses") == b"-ERR [SYS/PERM] too many guesses\r\n"
    assert replies.banned("") == b"-ERR [SYS/PERM] no connections are taken from your network\r\n"


def test_error_puts_the_response_code_first() -> None:
    assert replies.error("no", replies.IN_USE) == b"-ERR [IN-USE] no\r\n"


def test_longest_line_has_512_octets() -> None:
    assert len(replies.ok("x" * 506)) == 512
    with pytest.raises(ValueError, match="at most 512 octets"):
        replies.ok("x" * 507)


@pytest.mark.parametrize("text", ["a\r\nb", "a\nb", "tab\t", "nul\0", "\u00e9"])
def test_what_is_not_printable_ascii_is_never_sent(text: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        replies.error(text)


def test_greeting_offers_no_apop() -> None:
    assert b"<" not in replies.greeting("1-2a")
    with pytest.raises(ValueError, match="angle brackets"):
        replies.greeting("<1896.697170952@dbc.mtview.ca.us>")


@pytest.mark.parametrize(
    ("count", "octets", "reply"),
    [
        (0, 0, b"+OK 0 messages (0 octets)\r\n"),
        (1, 5, b"+OK 1 message (5 octets)\r\n"),
        (3, 1234, b"+OK 3 messages (1234 octets)\r\n"),
    ],
)
def test_summary_counts_in_english(count: int, octets: int, reply: bytes) -> None:
    assert replies.messages_and_octets(count, octets) == reply
