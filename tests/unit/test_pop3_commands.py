"""The table of commands: what documentation and dispatch both rest on."""

import re

import pytest

from pop3_service.protocol.commands import COMMANDS, COMMANDS_BY_KEYWORD, Command, State, is_user_name
from pop3_service.protocol.policy import Policy
from pop3_service.protocol.replies import UNKNOWN_COMMAND
from pop3_service.protocol.session import Session


def test_table_has_every_command_once_and_no_apop() -> None:
    before_login = ["CAPA", "STLS", "UTF8", "LANG", "AUTH", "USER", "PASS"]
    after_it = ["STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "RSET", "NOOP", "QUIT"]
    assert [command.keyword for command in COMMANDS] == before_login + after_it
    assert list(COMMANDS_BY_KEYWORD.values()) == list(COMMANDS)


@pytest.mark.parametrize(
    ("keyword", "syntax"),
    [
        (b"USER", "USER <name>"),
        (b"PASS", "PASS <password>"),
        (b"STAT", "STAT"),
        (b"LIST", "LIST [<number>]"),
        (b"TOP", "TOP <number> <lines>"),
    ],
)
def test_syntax_reads_as_in_the_rfc(keyword: bytes, syntax: str) -> None:
    assert COMMANDS_BY_KEYWORD[keyword].syntax == syntax


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.keyword)
def test_every_row_is_dispatched(command: Command) -> None:
    session = Session("1", Policy("Peep-1.0"))
    session.state = command.states[-1]
    line = command.syntax.replace("[", "").replace("]", "")
    line = re.sub("<(number|lines)>", "1", line).replace("<", "").replace(">", "")
    assert session.receive(line.encode()) != UNKNOWN_COMMAND


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.keyword)
def test_every_row_says_what_it_is_for(command: Command) -> None:
    assert command.summary
    assert re.match(r"RFC \d+, section", command.rfc)
    assert State.UPDATE not in command.states


@pytest.mark.parametrize(
    "name", [b"a", b"alice", b"a.b", b"alice@example.org", b"-x", b"~", b"x" * 128, b"a\\b"]
)
def test_user_names_of_p11(name: bytes) -> None:
    assert is_user_name(name)


@pytest.mark.parametrize(
    "name",
    [b"", b".", b"..", b".a", b"a/b", b"/", b"a b", b"a\n", b"a\0", b"\x7f", b"\xc3", b"x" * 129],
)
def test_what_is_no_user_name_by_p11(name: bytes) -> None:
    assert not is_user_name(name)
