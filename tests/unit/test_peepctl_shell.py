"""`peepctl shell` without a terminal: replies in words, help, completion, and what the history keeps."""

from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from peep_client import Reply
from peep_client.protocol.commands import KNOWN
from peep_client.protocol.records import Capabilities, parse_capabilities
from peepctl.shell.completing import DiscreetHistory, PeepCompleter
from peepctl.shell.words import help_lines, reply_in_words, syntax_of

PLAIN = parse_capabilities(("a", "c=1-500", "t=0-300"))
OURS = [command.commencement for command in KNOWN.values() if command.is_extension]
EXTENDED = parse_capabilities(("a", "c=1-500", "t=0-300", *OURS, "zz?"))


@pytest.mark.parametrize(
    ("commencement", "reply", "words"),
    [
        ("u+", Reply("+"), "done"),
        ("t?", Reply("+600"), "seconds (10 min)"),
        ("t?", Reply("+0"), "no timeout"),
        ("rb?", Reply("+2612"), "octets (2.6 kB)"),
        ("u?", Reply("+1", ("alice",)), "users"),
        ("m?", Reply("+/srv/mail"), ""),
        ("u+", Reply("-3"), "a user of that name is there already"),
        ("u-", Reply("-4"), "there is no user of that name"),
        ("c=", Reply("-5"), "out of range; the range is 1 to 500"),
        ("u-", Reply("-1"), "invalid command syntax; the syntax is u- <username>"),
        ("zz", Reply("-0"), "unknown command, or not available in this state; help lists the commands"),
        ("zz?", Reply("+5"), "yes"),
        ("zz?", Reply("-99"), "a code that the PEEP text does not define"),
        ("q", Reply("+"), "the session is over"),
    ],
)
def test_reply_is_told_in_words(commencement: str, reply: Reply, words: str) -> None:
    assert reply_in_words(commencement, reply, PLAIN) == words


def test_store_that_is_away_is_advised_to_be_waited_for() -> None:
    assert reply_in_words("u?", Reply("-8")).endswith("try again in a moment")


def test_help_lists_what_the_server_has() -> None:
    plain, extended = "\n".join(help_lines(PLAIN)), "\n".join(help_lines(EXTENDED))
    assert "u+ <username> <password>" in plain
    assert "k- <session>" not in plain
    assert "k- <session>" in extended


def test_help_tells_range_and_codes_of_one_command() -> None:
    text = "\n".join(help_lines(PLAIN, "t="))
    assert "0 to 300" in text
    assert "-7: out of range" in text
    assert "which this server does not have" in "\n".join(help_lines(PLAIN, "s?"))
    assert help_lines(PLAIN, "-4") == ["-4: no such user or session"]
    assert "does not know" in help_lines(PLAIN, "zz")[0]


def test_syntax_follows_what_is_typed() -> None:
    assert syntax_of("c= 5", PLAIN) == "c= <new_max_connections>: limit the POP3 connections, 1 to 500"
    assert syntax_of("nothing", PLAIN) == ""


def completed(text: str, capabilities: Capabilities) -> list[str]:
    completer = PeepCompleter(lambda: capabilities)
    return [found.text for found in completer.get_completions(Document(text), CompleteEvent())]


def test_commands_are_completed_as_far_as_the_server_has_them() -> None:
    assert completed("t", PLAIN) == ["t?", "t="]
    assert completed("s", PLAIN) == []
    assert completed("s", EXTENDED) == ["s?"]
    assert completed("z", EXTENDED) == ["zz?"]
    assert completed("he", PLAIN) == ["help"]
    assert completed("help re", PLAIN) == ["re?"]
    assert completed("t= ", PLAIN) == []
    assert set(completed("", EXTENDED)) >= set(KNOWN)


def test_history_keeps_no_line_with_a_password(tmp_path: Path) -> None:
    file = tmp_path / "history"
    history = DiscreetHistory(str(file))
    for line in (
        "t?",
        "a admin hunter2",
        "u+ alice hunter2",
        "p= alice hunter2",
        " u+ alice hunter2",
        "u- alice",
    ):
        history.append_string(line)
    assert "hunter2" not in file.read_text()
    assert [line for line in file.read_text().splitlines() if line.startswith("+")] == ["+t?", "+u- alice"]
