"""What samples say of a time: rates, quantiles and gauges over steps, gaps, and stores that were restored."""

import random

import pytest

from state_store.history import CONVENIENT_POINTS, RECORD, RINGS, History, Kind, Metric, Span, quantile
from state_store.latency import BOUNDS

NOW = 1_795_985_990.0
BYTES, CONNECTIONS = Metric.RETRIEVED_BYTES, Metric.CURRENT_CONNECTIONS


def sample(
    at: float, *, octets: int = 0, connections: int = 0, commands: dict[int, int] | None = None
) -> bytes:
    buckets = [0] * (2 * (len(BOUNDS) + 1))
    for bucket, count in (commands or {}).items():
        buckets[bucket] = count
    return RECORD.pack(round(at * 1000), connections, 0, 1, 250, 1500, 0, octets, 0, 0, 0, 0, 0, *buckets)


def history_of(*samples: bytes, start: float = NOW - 30, end: float = NOW, step: int = 10) -> History:
    shuffled = random.Random(7).sample(samples, len(samples))  # a ring begins anywhere
    return Span.of(start, end, step, NOW).of_samples(b"".join(shuffled))


def test_each_step_has_the_counter_at_its_end_and_the_rate_since_the_sample_before() -> None:
    history = history_of(
        sample(NOW - 31, octets=100),
        sample(NOW - 21, octets=300),
        sample(NOW - 13, octets=300),
        sample(NOW - 1, octets=900),
    )
    assert history.values(BYTES) == [300, 300, 900]
    assert history.rates(BYTES) == [20.0, 0.0, 50.0]
    assert history.times == [NOW - 21, NOW - 13, NOW - 1]


def test_nothing_is_known_of_a_gap_and_what_was_counted_meanwhile_is_a_rate_over_all_of_it() -> None:
    history = history_of(sample(NOW - 25, octets=100), sample(NOW - 5, octets=200))
    assert history.values(BYTES) == [100, None, 200]
    assert history.rates(BYTES) == [None, None, 5.0]
    assert history.times == [NOW - 25, NOW - 10, NOW - 5]


def test_a_gauge_is_the_largest_of_the_step_in_its_own_unit() -> None:
    history = history_of(
        *(sample(NOW - 35 + ago, connections=count) for ago, count in ((1, 3), (11, 9), (21, 4))),
        start=NOW - 60, end=NOW, step=60,
    )  # fmt: skip
    for metric, figure in ((CONNECTIONS, 9), (Metric.LOAD, 0.25), (Metric.STORE_SECONDS, 0.0015)):
        assert history.values(metric)[-1] == figure


def test_a_restored_store_has_no_rate_until_the_second_sample() -> None:
    history = history_of(
        sample(NOW - 25, octets=900, commands={3: 5}),
        sample(NOW - 15, octets=100, commands={3: 1}),
        sample(NOW - 5, octets=110, commands={3: 3}),
    )
    assert history.rates(BYTES) == [None, None, 1.0]
    assert history.values(Metric.COMMAND_P50_SECONDS)[:2] == [None, None]
    assert history.values(Metric.COMMAND_P50_SECONDS)[2] == quantile([0, 0, 0, 2], 0.5)


def test_quantiles_are_of_the_durations_between_two_samples_though_their_counts_have_wrapped() -> None:
    history = history_of(
        sample(NOW - 15, octets=1, commands={3: 2**32 - 1, 5: 7}),
        sample(NOW - 5, octets=2, commands={3: 98, 5: 8}),
    )
    assert history.values(Metric.COMMAND_P50_SECONDS)[-1] == pytest.approx(0.00075, abs=1e-5)
    assert history.values(Metric.COMMAND_P99_SECONDS)[-1] == pytest.approx(0.001, abs=1e-5)
    assert history.values(Metric.LOGIN_P50_SECONDS)[-1] is None, "nobody has logged in"


def test_what_took_longer_than_the_last_bound_is_shown_as_that_bound() -> None:
    assert quantile([0] * len(BOUNDS) + [1], 0.5) == BOUNDS[-1]


def test_samples_of_an_earlier_turn_of_the_ring_and_of_a_clock_ahead_are_not_mistaken_for_others() -> None:
    history = history_of(
        sample(NOW - 3660 - 25, octets=5), sample(NOW - 5, octets=7), sample(NOW + 9999, octets=9)
    )
    assert history.values(BYTES) == [None, None, 7]


@pytest.mark.parametrize(
    ("seconds", "asked", "ring", "step"),
    [
        (3600, 0, RINGS[0], 10),
        (3600, 15, RINGS[0], 20),
        (3700, 10, RINGS[1], 60),
        (86_400, 0, RINGS[1], 60),
        (7 * 86_400, 0, RINGS[2], 3600),
        (365 * 86_400, 0, RINGS[2], 6 * 3600),
        (10 * 365 * 86_400, 86_400, RINGS[2], 86_400),
    ],
)
def test_the_finest_ring_that_reaches_back_so_far_is_read(
    seconds: int, asked: int, ring: object, step: int
) -> None:
    span = Span.of(NOW - seconds, NOW, asked, NOW)
    assert (span.ring, span.step) == (ring, step)
    assert len(span.of_samples(b"").times) == span.points
    assert asked or span.points <= CONVENIENT_POINTS + 1


def test_each_query_of_peep_has_its_history() -> None:
    kinds = {metric.value: metric.kind for metric in Metric}
    assert {name for name, kind in kinds.items() if kind is Kind.COUNTER} == {
        "retrieved_bytes", "retrieved_emails", "removed_emails",
        "historical_connections", "historical_logins", "refused_passwords",
    }  # fmt: skip
    assert kinds["current_connections"] is kinds["logged_in_users"] is Kind.GAUGE
