"""PEEP sections 5 and 6: what `cap?` tells about extensions, and the summary table (R74 to R77)."""

import pytest

from peep_gateway.protocol.commands import COMMANDS, State, capabilities
from support.peep_gateway_server import Gateway

SUMMARY = """
a    2 AUTHENTICATION none              2
cap? 0 BOTH           multi-line-string
q    0 BOTH           none
u+   2 AUTHENTICATED  none              3
u-   1 AUTHENTICATED  none              4
u?   0 AUTHENTICATED  multi-line-string
c=   1 AUTHENTICATED  none              5
c?   0 AUTHENTICATED  integer
m?   0 AUTHENTICATED  string
m=   1 AUTHENTICATED  none              6
t?   0 AUTHENTICATED  integer
t=   1 AUTHENTICATED  none              7
rb?  0 AUTHENTICATED  integer
re?  0 AUTHENTICATED  integer
xe?  0 AUTHENTICATED  integer
cc?  0 AUTHENTICATED  integer
cu?  0 AUTHENTICATED  multi-line-string
hc?  0 AUTHENTICATED  integer
hu?  0 AUTHENTICATED  integer
""".strip().splitlines()


@pytest.mark.parametrize("line", SUMMARY)
def test_table_agrees_with_the_summary_of_the_text(line: str) -> None:
    """R77."""
    commencement, argument_count, states, reply, *codes = line.split()
    row = next(row for row in COMMANDS if row.commencement == commencement)
    assert len(row.arguments) == int(argument_count)
    assert row.states == (set(State) if states == "BOTH" else {State(states)})
    assert row.reply.value == reply.replace("-s", " s")
    assert ([str(row.negative_code.value)] if row.negative_code else []) == codes


def test_extensions_are_told_from_what_the_text_defines() -> None:
    """R39, R75: what the summary does not hold is an extension, and every extension is listed."""
    defined = {line.split()[0] for line in SUMMARY}
    for row in COMMANDS:
        assert row.is_extension is (row.commencement not in defined)
        if row.is_extension:
            assert any(line.startswith(row.commencement) for line in capabilities())


async def test_command_that_only_the_misprint_names_is_unknown(gateway: Gateway) -> None:
    """P1: `h?` stands for `cap?` in the text of `c=`."""
    assert await gateway.replies_to(b"h?\r\n") == b"-0\r\n"
