"""Spans of time have one syntax, whichever command they are typed for."""

from datetime import UTC, datetime, timedelta

import pytest
import typer

from peepctl.commands.users import days
from peepctl.moments import moment, span


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[
            ("90s", 90),
            ("30m", 1800),
            ("30min", 1800),
            ("24h", 86_400),
            ("4w", 2_419_200),
            ("1y", 31_536_000),
        ],
        *[("0d", 0), ("7", None), ("1.5h", None), ("-1d", None), ("1D", None), ("", None)],
    ],
)
def test_a_span_is_a_number_and_a_unit(text: str, seconds: int | None) -> None:
    assert span(text) == seconds


def test_a_moment_takes_every_span() -> None:
    for text, length in {"30min": timedelta(minutes=30), "1y": timedelta(days=365)}.items():
        found = moment("--since", text)
        assert found is not None
        assert abs(datetime.now(UTC) - length - found) < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("text", "number"), [("90", 90), ("90d", 90), ("2w", 14), ("1y", 365), ("48h", 2), ("10y", 3650)]
)
def test_days_take_spans_of_whole_days(text: str, number: int) -> None:
    assert days(text) == number


@pytest.mark.parametrize("text", ["36h", "11y", "soon", "", "9999999999"])
def test_days_refuse_what_is_no_number_of_days(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no number of days, such as 90d"):
        days(text)
