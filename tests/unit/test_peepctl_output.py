"""How `peepctl` shows numbers, times and foreign words."""

import pytest

from peepctl.output import amount, duration, shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (125, "2 min 05 s"),
        (3600, "1 h"),
        (3720, "1 h 02 min"),
        (86400, "1 d"),
        (90000, "1 d 01 h"),
    ],
)
def test_times_are_told_in_two_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("octets", "words"), [(0, "0 B"), (999, "999 B"), (2612, "2.6 kB"), (5e9, "5.0 GB"), (7e15, "7000.0 TB")]
)
def test_octets_are_told_in_a_unit(octets: float, words: str) -> None:
    assert amount(octets) == words


def test_control_characters_are_written_out() -> None:
    assert shown("a\x1b[2J\x07\u200f") == "a\\x1b[2J\\x07\\u200f"
    assert shown("café /srv/mail") == "café /srv/mail"
