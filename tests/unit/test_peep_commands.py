"""The command table, and what is made from it."""

import dataclasses
import re

import pytest

from peep_gateway.protocol.arguments import Integer, Mistake, Text
from peep_gateway.protocol.commands import (
    AVAILABLE,
    COMMANDS,
    MAX_CONNECTIONS,
    QUIT,
    TIMEOUT,
    Command,
    State,
    capabilities,
)
from peep_gateway.protocol.replies import NegativeCode, ReplyKind
from state_store.records import MAX_CONNECTIONS_RANGE, TIMEOUT_SECONDS_RANGE

OURS = ["p=", "s?", "k-", "g?", "g-", "mv?", "mc?", "v?"]

SHOW_WEATHER = dataclasses.replace(QUIT, commencement="w?", section="P99", is_extension=True)
SHOW_NEWEST = Command(
    "n?",
    (Integer("amount", range(0, 10)), Text("order")),
    frozenset({State.AUTHENTICATED}),
    ReplyKind.MULTI_LINE,
    None,
    "show something",
    "P99",
    is_extension=True,
)


def test_table_holds_the_commands_of_the_summary_in_the_text_and_then_our_own() -> None:
    of_the_text = "a cap? q u+ u- u? c= c? m? m= t? t= rb? re? xe? cc? cu? hc? hu?"
    assert [command.commencement for command in COMMANDS] == [*of_the_text.split(), *OURS]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.commencement)
def test_every_row_keeps_to_the_command_format(command: Command) -> None:
    assert re.fullmatch(r"[a-z]+[-+=?]?", command.commencement)
    assert len(command.commencement) <= 8
    assert len(command.arguments) <= 2
    assert command.states
    assert command.summary
    assert command.section in ({"P17"} if command.is_extension else {"3", "4"})


def test_syntax_reads_as_in_the_text() -> None:
    assert AVAILABLE[State.AUTHENTICATED][b"u+"].syntax == "u+ <username> <password>"
    assert AVAILABLE[State.AUTHENTICATED][b"m="].syntax == "m= <absolute_path>"
    assert QUIT.syntax == "q"


def test_authentication_offers_three_commands() -> None:
    assert set(AVAILABLE[State.AUTHENTICATION]) == {b"a", b"cap?", b"q"}


def test_authenticated_offers_all_but_the_authentication() -> None:
    assert set(AVAILABLE[State.AUTHENTICATED]) == {row.commencement.encode() for row in COMMANDS} - {b"a"}


def test_capabilities_are_authentication_integer_commands_with_their_ranges_and_extensions() -> None:
    assert capabilities() == ["a", "c=1-1000000", "t=0-86400", *OURS]


def test_capabilities_follow_a_row_that_is_added() -> None:
    assert capabilities((*COMMANDS, SHOW_WEATHER)) == [*capabilities(), "w?"]


def test_extension_with_an_integer_is_listed_once_and_with_its_range() -> None:
    assert capabilities((SHOW_WEATHER, SHOW_NEWEST)) == ["n?0-9", "w?"]


@pytest.mark.parametrize("line", capabilities())
def test_capability_lines_are_a_commencement_and_at_most_a_range(line: str) -> None:
    assert re.fullmatch(r"[a-z]+[-+=?]?(\d+-\d+)?", line)


def test_ranges_are_those_of_the_state_store() -> None:
    assert MAX_CONNECTIONS.allowed == MAX_CONNECTIONS_RANGE
    assert TIMEOUT.allowed == TIMEOUT_SECONDS_RANGE


def test_wrong_format_is_invalid_syntax_and_wrong_value_the_commands_own_code() -> None:
    set_timeout = AVAILABLE[State.AUTHENTICATED][b"t="]
    assert set_timeout.code_of(Mistake.FORMAT) is NegativeCode.INVALID_SYNTAX
    assert set_timeout.code_of(Mistake.VALUE) is NegativeCode.INVALID_TIMEOUT


def test_wrong_value_is_invalid_syntax_where_the_command_has_no_code() -> None:
    assert SHOW_NEWEST.code_of(Mistake.VALUE) is NegativeCode.INVALID_SYNTAX
