"""`peepctl top` without a terminal: rates, sparklines, and lines that fit."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.formatted_text import fragment_list_to_text

from peep_client import Counters, Session, Settings
from peepctl.sparkline import BLOCKS, sparkline
from peepctl.top.history import MAX_SAMPLES, History
from peepctl.top.screen import ORDERS, View, lines, scrolled

NOTHING = Counters(0, 0, 0, 0, 0, 0, 0)


def history(*samples: tuple[float, int]) -> History:
    """Return one in which `retrieved_emails` was so much at these times."""
    made = History()
    for at, number in samples:
        made.add(at, dataclasses.replace(NOTHING, retrieved_emails=number))
    return made


def view(number_of_sessions: int = 0, **changes: object) -> View:
    made = View("mail.example:2110", history((0, 0), (1, 5), (2, 25)))
    made.settings = Settings(1000, 600, "/srv/mail")
    made.sessions = [
        Session(
            f"pop3-{number}",
            f"user{number}" if number % 2 else None,
            f"192.0.2.{9 - number % 10}",
            number * 100,
            octets=-abs(number - 4),
            retrieved=-abs(number - 5),
            idle_seconds=-abs(number - 6),
        )
        for number in range(number_of_sessions)
    ]
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def drawn(of: View, width: int = 80, height: int = 24) -> list[str]:
    return [fragment_list_to_text(line) for line in lines(of, width, height, "12:34:56")]


# Rates


def test_rate_is_the_difference_over_the_time_between() -> None:
    assert history((0, 10), (2, 30)).per_second("retrieved_emails") == 10
    assert history((0, 0), (1, 5), (3, 6)).per_second("retrieved_emails") == 0.5


def test_one_look_makes_no_rate() -> None:
    assert history((0, 10)).per_second("retrieved_emails") is None
    assert history((0, 10)).per_minute("retrieved_emails") is None
    assert History().last is None


def test_rate_of_a_minute_looks_back_a_minute() -> None:
    assert history((0, 0), (30, 600), (90, 660)).per_minute("retrieved_emails") == 60
    assert history((0, 0), (30, 60)).per_minute("retrieved_emails") == 120


def test_counters_that_went_back_begin_anew() -> None:
    made = History()
    for at, number in ((0, 100), (1, 110), (2, 3), (3, 5)):
        made.add(at, dataclasses.replace(NOTHING, historical_connections=number))
    assert made.series("historical_connections", 10) == [2]


def test_history_is_bounded() -> None:
    made = history(*((at, at) for at in range(MAX_SAMPLES * 2)))
    assert len(made.series("retrieved_emails", 10**6)) == MAX_SAMPLES - 1


@given(st.lists(st.floats(0, 1e12), max_size=50), st.integers(-3, 60))
def test_sparkline_is_never_wider_than_its_room(rates: list[float], width: int) -> None:
    made = sparkline(rates, width)
    assert len(made) == min(len(rates), max(width, 0))
    assert set(made) <= set(BLOCKS)


def test_highest_rate_is_a_full_block_and_silence_an_empty_one() -> None:
    assert sparkline([0, 5, 10], 10) == f"{BLOCKS[0]}{BLOCKS[4]}{BLOCKS[-1]}"
    assert sparkline([0, 0], 10) == BLOCKS[0] * 2
    assert sparkline([1, 2, 3, 4], 2) == f"{BLOCKS[6]}{BLOCKS[-1]}"


# The screen


@given(st.integers(1, 200), st.integers(1, 60), st.integers(0, 100), st.sampled_from(sorted(ORDERS)))
def test_lines_fill_any_terminal(width: int, height: int, sessions: int, order: str) -> None:
    shown = drawn(view(sessions, order=order), width, height)
    assert len(shown) == height
    assert all("\n" not in line for line in shown)


def test_screen_shows_gauges_rates_and_sessions() -> None:
    text = "\n".join(drawn(view(3, version="1.2.3")))
    assert "mail.example:2110  Peep 1.2.3" in text
    assert "connected  12:34:56" in text
    assert "0% of 1,000" in text
    assert "emails retrieved          25          20         750" in text
    assert "timeout 10 min, mail in /srv/mail" in text
    assert "(3, oldest first)" in text


def test_trouble_is_shown_above_what_was_known() -> None:
    shown = drawn(view(trouble="cannot connect to mail.example", is_lost=True))
    assert "NOT CONNECTED" in shown[0]
    assert shown[1] == "cannot connect to mail.example"
    assert any("emails retrieved" in line for line in shown)


def test_server_that_refuses_is_still_connected() -> None:
    assert "NOTHING NEW" in drawn(view(trouble="-8 to rb?: service unavailable"))[0]


def test_server_without_sessions_says_so() -> None:
    assert "this server does not list sessions (no extension s?)" in drawn(view(has_sessions=False))


def test_names_do_not_steer_the_terminal() -> None:
    evil = [Session("id\x1b[2J", "us\x07er", "192.0.2.1", 1)]
    text = "\n".join(drawn(view(sessions=evil)))
    assert "\x1b" not in text
    assert "\x07" not in text


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("o", "pop3-9"),
        ("n", "pop3-0"),
        ("u", "pop3-1"),
        ("a", "pop3-9"),
        ("b", "pop3-4"),
        ("m", "pop3-5"),
        ("i", "pop3-6"),
    ],
)
def test_sessions_are_sorted_by_the_pressed_key(order: str, first: str) -> None:
    shown = drawn(view(10, order=order))
    at = next(number for number, line in enumerate(shown) if line.startswith("SESSION"))
    assert shown[at + 1].split()[0] == first


def test_a_session_shows_what_it_does_and_a_long_name_leaves_room_for_it() -> None:
    busy = Session("pop3-1", "u" * 128, "192.0.2.1", 61, "TLSv1.3", 5_120_000, 1200, 0, 3, 12, 48_000_000)
    told_less = Session("pop3-2", "bob", "192.0.2.1", 5)
    text = drawn(view(sessions=[busy, told_less]), width=120)
    (row,) = [line for line in text if line.startswith("pop3-1")]
    assert (
        row.split()[1:]
        == f"{'u' * 21}... 192.0.2.1 TLSv1.3 1 min 01 s 3 s 5.1 MB 1,200 0% of 48.0 MB".split()
    )
    (other,) = [line for line in text if line.startswith("pop3-2")]
    assert other.split() == ["pop3-2", "bob", "192.0.2.1", "-", "5", "s", "-", "-", "-", "-"]


def test_scrolling_ends_at_the_last_session() -> None:
    of = view(50)
    assert scrolled(of, -1, 24) == 0
    for _ in range(100):
        of.offset = scrolled(of, 1, 24)
    shown = drawn(of)
    assert shown[-2].split()[0] == "pop3-0"
    assert scrolled(view(3), 1, 24) == 0
