"""Random commands, well formed and not, against a model that is plain enough to believe."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from pop3_service.protocol.commands import State
from pop3_service.protocol.intentions import HangUp, LogIn, RemoveMarked, SendMessage
from pop3_service.protocol.maildrop import Message
from pop3_service.protocol.policy import Policy
from pop3_service.protocol.session import Session
from support.pop3_engine import contents_of

numbers = st.integers(0, 6) | st.just(2**32 + 1)
numbered = st.tuples(st.sampled_from(["LIST", "UIDL", "RETR", "DELE", "TOP"]), numbers)
plain = st.tuples(st.sampled_from(["STAT", "LIST", "UIDL", "RSET", "NOOP"]), st.none())
commands = st.lists(numbered | plain, max_size=30)
sizes = st.lists(st.integers(0, 10**6), max_size=5)


class Model:
    """A maildrop as a dict from number to message; what is marked is in another."""

    def __init__(self, octets: list[int]) -> None:
        self.kept = {number: Message(b"id%d" % number, size, None) for number, size in enumerate(octets, 1)}
        self.marked: dict[int, Message] = {}

    def answer(self, keyword: str, number: int | None) -> object:
        """Return the answer; only its mark where the text of an error is free."""
        if keyword == "RSET":
            self.kept = dict(sorted((self.kept | self.marked).items()))
            self.marked = {}
        if keyword in ("RSET", "NOOP", "STAT"):
            return {"RSET": self.summary(), "NOOP": "+OK", "STAT": f"+OK {len(self.kept)} {self.octets()}"}[
                keyword
            ]
        if number is None:
            return self.listing(keyword)
        if number not in self.kept:
            return "-ERR"
        return self.about(keyword, number)

    def about(self, keyword: str, number: int) -> object:
        message = self.kept[number]
        if keyword == "DELE":
            self.marked[number] = self.kept.pop(number)
            return "+OK"
        if keyword in ("RETR", "TOP"):
            return SendMessage(message, 7 if keyword == "TOP" else None)
        return f"+OK {number} {self.value(keyword, message)}"

    def listing(self, keyword: str) -> list[str]:
        first = self.summary() if keyword == "LIST" else "+OK"
        return [
            first,
            *(f"{number} {self.value(keyword, message)}" for number, message in self.kept.items()),
            ".",
        ]

    def value(self, keyword: str, message: Message) -> object:
        return message.octets if keyword == "LIST" else message.unique_id.decode()

    def octets(self) -> int:
        return sum(message.octets for message in self.kept.values())

    def summary(self) -> str:
        return f"+OK {len(self.kept)} message{'' if len(self.kept) == 1 else 's'} ({self.octets()} octets)"


def matches(answer: object, expected: object) -> bool:
    if not isinstance(answer, bytes):
        return answer == expected
    *lines, rest = answer.decode().split("\r\n")
    wanted = expected if isinstance(expected, list) else [expected]
    # A bare mark in the model leaves the text behind it free.
    bare = lines[0].split(" ")[0] if wanted[0] in ("+OK", "-ERR") else lines[0]
    return rest == "" and [bare, *lines[1:]] == wanted


def logged_in(octets: list[int]) -> tuple[Session, Model]:
    session, model = Session("1", Policy("Peep-1.0")), Model(octets)
    session.receive(b"USER alice")
    log_in = session.receive(b"PASS secret")
    assert isinstance(log_in, LogIn)
    session.complete(log_in, contents_of(model.kept.values()))
    return session, model


def written(keyword: str, number: int | None) -> bytes:
    lines = " 7" if keyword == "TOP" else ""
    return keyword.encode() if number is None else f"{keyword} {number}{lines}".encode()


# The first two are looked up whole, the third is taken apart: all three are obeyed alike.
spellings: st.SearchStrategy[Callable[[bytes], bytes]] = st.sampled_from([bytes, bytes.lower, bytes.title])


@given(sizes, commands, st.data())
def test_session_answers_as_the_model(
    octets: list[int], spoken: list[tuple[str, int | None]], data: st.DataObject
) -> None:
    session, model = logged_in(octets)
    for keyword, number in spoken:
        expected = model.answer(keyword, number)
        spelt = data.draw(spellings, "spelling")
        answer = session.receive(spelt(written(keyword, number)))
        assert matches(answer, expected), (keyword, number, answer, expected)
        if isinstance(answer, SendMessage):
            session.complete(answer, None)
    farewell = session.receive(b"QUIT")
    removed = tuple(message for _, message in sorted(model.marked.items()))
    assert farewell == RemoveMarked(removed) if removed else isinstance(farewell, HangUp)


@given(st.lists(st.binary(max_size=253), max_size=40))
def test_any_octets_get_one_error_line_and_never_an_exception(lines: list[bytes]) -> None:
    session, _ = logged_in([100])
    for line in lines:
        answer = session.receive(line)
        if isinstance(answer, HangUp):
            assert answer.reply.startswith((b"-ERR", b"+OK"))
            break
        assert isinstance(answer, bytes)
        assert answer.endswith(b"\r\n")


@given(
    st.lists(
        st.sampled_from([b"STAT", b"DELE 1", b"NOOP", b"JUNK", b"USER a", b"CAPA", b"PASS"]), max_size=15
    )
)
def test_nobody_gets_in_without_an_accepted_password(lines: list[bytes]) -> None:
    session = Session("1", Policy("Peep-1.0"))
    for line in lines:
        session.receive(line)
    assert session.state is State.AUTHORIZATION
    assert session.username is None
