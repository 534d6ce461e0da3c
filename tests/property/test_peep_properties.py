"""Laws of the PEEP dialogue for any input at all."""

import itertools
import re

from hypothesis import example, given
from hypothesis import strategies as st

from line_server.lines import LineBuffer, OverlongLine, RunawayLine
from peep_gateway.protocol.arguments import AbsolutePath, Integer, Mistake, UserName
from peep_gateway.protocol.commands import AVAILABLE, COMMANDS, MAX_LINE_OCTETS, State
from peep_gateway.protocol.replies import NegativeCode, ReplyKind, positive
from peep_gateway.protocol.session import Authentication, Request, Session

commencements = st.sampled_from([row.commencement.encode() for row in COMMANDS])
words = st.one_of(
    st.sampled_from([b"root", b"15", b"-5", b"../x", b"/srv", b"x" * 128, b"x" * 129, b"9" * 90]),
    st.binary(max_size=6),
    st.integers().map(lambda number: str(number).encode()),
)
spaces = st.sampled_from([b" ", b" ", b" ", b"  ", b"\t", b""])
near_commands = st.tuples(commencements, st.lists(st.tuples(spaces, words), max_size=3), spaces).map(
    lambda parts: parts[0] + b"".join(space + word for space, word in parts[1]) + parts[2]
)
lines = st.one_of(near_commands, st.binary(max_size=40), st.just(b"u- " + b"x" * 300))
streams = st.lists(lines, max_size=12).map(lambda some: b"".join(line + b"\r\n" for line in some))

NEGATIVE_REPLY = re.compile(rb"-[0-8]\r\n")


def decisions(chunks: list[bytes]) -> list[bytes | Request]:
    """Return what a session decides; every `a` with two words succeeds, so that both states are seen."""
    session, buffer = Session(), LineBuffer(MAX_LINE_OCTETS)
    made: list[bytes | Request] = []
    for chunk in chunks:
        buffer.feed(chunk)
        while not session.is_over and (line := buffer.next()) is not None:
            assert not isinstance(line, RunawayLine)
            decision = (
                session.receive_overlong(line.head)
                if isinstance(line, OverlongLine)
                else session.receive(line)
            )
            made.append(decision)
            if isinstance(decision, Request):
                is_login = decision.command.commencement == "a"
                session.complete(Authentication.SUCCEEDED if is_login else NegativeCode.SERVICE_UNAVAILABLE)
    return made


@given(streams, st.lists(st.integers(0, 2000), max_size=8))
@example(b"a x y\r\nc= 15\r\nu- " + b"x" * 300 + b"\r\nq\r\n", [1, 5, 6, 7, 20, 300])
def test_replies_never_depend_on_how_the_octets_are_cut(stream: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[start:end] for start, end in itertools.pairwise(edges)]
    assert decisions(chunks) == decisions([stream])


@given(streams)
def test_one_octet_at_a_time_gives_the_same_replies(stream: bytes) -> None:
    assert decisions([stream[at : at + 1] for at in range(len(stream))]) == decisions([stream])


@given(st.sampled_from(State), lines.filter(lambda line: b"\r\n" not in line))
def test_every_line_gives_one_wellformed_reply_or_one_valid_request(state: State, line: bytes) -> None:
    session = Session()
    session.state = state
    decision = session.receive(line)
    if isinstance(decision, Request):
        assert state in decision.command.states
        assert len(decision.arguments) == len(decision.command.arguments)
        return
    if decision.startswith(b"-"):
        assert NEGATIVE_REPLY.fullmatch(decision)
        return
    first, *rest = decision.split(b"\r\n")
    assert line.split(b" ")[0] in (b"cap?", b"q")
    assert rest.pop() == b""
    assert len(rest) == int(first[1:] or 0)


@given(st.sampled_from(State), st.binary(max_size=40).filter(lambda line: b"\r\n" not in line))
def test_unknown_commencement_is_always_told_as_such(state: State, line: bytes) -> None:
    session = Session()
    session.state = state
    is_known = line.split(b" ")[0] in AVAILABLE[state]
    assert (session.receive(line) == b"-0\r\n") is not is_known


@given(
    st.from_regex(re.compile(rb"-?[0-9]{1,127}"), fullmatch=True), st.integers(0, 10), st.integers(0, 10**30)
)
def test_integers_follow_the_numbers_of_arithmetic(word: bytes, low: int, width: int) -> None:
    allowed = range(low, low + width + 1)
    value = 0
    for digit in word.lstrip(b"-"):
        value = 10 * value + digit - ord("0")
    value = -value if word.startswith(b"-") else value
    expected = value if low <= value <= low + width else Mistake.VALUE
    assert Integer("number", allowed).parse(word) == expected


@given(st.binary(min_size=1, max_size=20))
def test_nothing_but_digits_after_at_most_one_minus_is_an_integer(word: bytes) -> None:
    digits = word[1:] if word.startswith(b"-") else word
    is_integer = bool(digits) and all(ord("0") <= octet <= ord("9") for octet in digits)
    assert (Integer("number", range(10)).parse(word) is Mistake.FORMAT) is not is_integer


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128))
def test_accepted_user_name_is_one_folder_that_is_not_hidden(name: str) -> None:
    parsed = UserName("username").parse(name.encode())
    assert (parsed == name) is ("/" not in name and not name.startswith("."))


@given(st.text("/.ab", min_size=1, max_size=30))
def test_accepted_path_is_normal_and_never_goes_up(path: str) -> None:
    parsed = AbsolutePath("path").parse(path.encode())
    if isinstance(parsed, Mistake):
        assert not path.startswith("/") or ".." in path.split("/")
        return
    assert parsed.startswith("/")
    assert parsed == "/" or not {"", ".", ".."} & set(parsed[1:].split("/"))
    assert AbsolutePath("path").parse(parsed.encode()) == parsed


@given(st.integers(0, 10**40))
def test_integer_replies_are_the_plain_number(number: int) -> None:
    assert positive(ReplyKind.INTEGER, number) == b"+" + str(number).encode() + b"\r\n"
