import pytest

from support.dialogue import Step, play, steps
from support.pop3_engine import EnginePeer


def test_conversation_is_read_line_by_line() -> None:
    assert list(steps("  C: STAT\n\n # remark\nS: .\nS:")) == [
        Step(True, "STAT"),
        Step(False, "."),
        Step(False, ""),
    ]


def test_line_of_nobody_is_an_error() -> None:
    with pytest.raises(ValueError, match="X: who"):
        list(steps("X: who"))


@pytest.mark.parametrize("wrong", ["S: +OK", "S: -ERR ...", "S: <closed>", "S: +O ..."])
def test_other_answer_than_written_fails(wrong: str) -> None:
    with pytest.raises(AssertionError):
        play(wrong, EnginePeer())


def test_server_that_says_less_than_written_fails() -> None:
    with pytest.raises(AssertionError):
        play("S: +OK ...\nS: +OK ...", EnginePeer())
