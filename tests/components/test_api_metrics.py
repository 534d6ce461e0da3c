"""`/metrics`: every number, and the conventions of Prometheus and OpenMetrics, over the real output."""

import re
import sys
import time
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import httpx
import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from service_runtime import VERSION
from state_store.administrators import Administrator, Role
from state_store.credentials.api_tokens import new_token, token_digest
from state_store.errors import StoreUnavailable
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_client import api_client, problem
from support.busy_store import COMMAND_SECONDS, LOGIN_SECONDS, OPENMETRICS, metrics_of
from support.peep_gateway_server import instance

INSTANCE = {"instance_id": "pop3", "host": instance().host, "worker": "1"}

FORMATS = pytest.mark.parametrize("accept", ["", OPENMETRICS])

BASE_UNITS = ("seconds", "bytes", "ratio")
OTHER_UNITS = re.compile(
    "milliseconds|microseconds|nanoseconds|ms|us|minutes|hours|days|[kmg]i?b|kilobytes|megabytes|octets|percent"
)
RESERVED_SUFFIXES = ("_total", "_info", "_bucket", "_sum", "_count", "_created")


def samples_of(text: str) -> list[Sample]:
    parse: Any = openmetrics_families if "# EOF" in text else text_string_to_metric_families
    families: Iterable[Metric] = parse(text)
    return [sample for family in families for sample in family.samples]


def described(text: str, word: str) -> dict[str, str]:
    """Return what the lines of HELP or TYPE say of each name."""
    lines = [line.split(" ", 3) for line in text.splitlines() if line.startswith(f"# {word} ")]
    names = [line[2] for line in lines]
    assert len(names) == len(set(names)), f"a {word} twice"
    return {line[2]: line[3] for line in lines}


def family_name(sample: str, types: dict[str, str]) -> str:
    """Return the name that the HELP and TYPE of a sample bear."""
    candidates = [sample, *(sample.removesuffix(suffix) for suffix in RESERVED_SUFFIXES)]
    return next(name for name in candidates if name in types)


async def test_metrics_show_every_number_of_ours(busy: StateRepository) -> None:
    began = time.monotonic()
    response = await metrics_of(busy)
    seconds = time.monotonic() - began
    assert response.headers["content-type"].startswith("text/plain; version=")
    shown = {
        sample.name: (sample.value, sample.labels)
        for sample in samples_of(response.text)
        if sample.name.startswith("peep_")
        and "_duration_" not in sample.name
        and "_refused_" not in sample.name
        and "_moves" not in sample.name
        and "_refusals" not in sample.name
    }
    lease_seconds, _ = shown.pop("peep_pop3_instance_lease_seconds")
    assert 0 < lease_seconds <= 15
    assert shown.pop("peep_store_memory_bytes")[0] > 100_000
    assert 0 < shown.pop("peep_store_round_trip_seconds")[0] < seconds
    assert abs(shown.pop("peep_pop3_instance_clock_ahead_seconds")[0]) < 60
    (reserved, labels) = shown.pop("peep_pop3_instance_reserved_connections")
    assert (reserved >= 2, labels) == (True, INSTANCE)
    assert shown == {
        "peep_pop3_retrieved_bytes_total": (1234, {}),
        "peep_pop3_retrieved_emails_total": (5, {}),
        "peep_pop3_removed_emails_total": (2, {}),
        "peep_pop3_connections": (2, {}),
        "peep_pop3_logged_in_users": (1, {}),
        "peep_pop3_historical_connections_total": (9, {}),
        "peep_pop3_logins_total": (4, {}),
        "peep_pop3_damaged_unique_ids_total": (3, {}),
        "peep_pop3_users": (2, {}),
        "peep_pop3_imported_password_hashes": (1, {"scheme": "SSHA"}),
        "peep_pop3_max_connections": (1000, {}),
        "peep_pop3_timeout_seconds": (600, {}),
        "peep_pop3_instances": (1, {}),
        "peep_pop3_instance_connections": (2, INSTANCE),
        "peep_pop3_instance_load_ratio": (0.25, INSTANCE),
        "peep_tls_certificate_not_after_seconds": (1_900_000_000, INSTANCE),
        "peep_pop3_instance_loop_lag_seconds": (0.002, INSTANCE),
        "peep_pop3_instance_threads": (7, INSTANCE),
        "peep_pop3_instance_draining": (0, INSTANCE),
        "peep_pop3_instance_store_round_trip_seconds": (0.001, INSTANCE),
        "peep_mail_disk_up": (1, INSTANCE),
        "peep_mail_disk_look_seconds": (0.003, INSTANCE),
        "peep_mail_disk_size_bytes": (1000, INSTANCE),
        "peep_mail_disk_free_bytes": (400, INSTANCE),
        "peep_mail_disk_inodes": (100, INSTANCE),
        "peep_mail_disk_free_inodes": (30, INSTANCE),
        "peep_store_max_memory_bytes": (0, {}),
        "peep_store_may_evict": (0, {}),
        "peep_store_append_only": (1, {}),
        "peep_store_replicas": (0, {}),
        "peep_store_replicas_behind": (0, {}),
        "peep_build_info": (1, {"version": VERSION}),
        "peep_store_up": (1, {}),
    }


@FORMATS
@pytest.mark.parametrize(("name", "seconds"), [("command", COMMAND_SECONDS), ("login", LOGIN_SECONDS)])
async def test_histograms_are_cumulative_and_whole(
    busy: StateRepository, accept: str, name: str, seconds: tuple[float, ...]
) -> None:
    prefix = f"peep_pop3_{name}_duration_seconds"
    samples = samples_of((await metrics_of(busy, accept)).text)
    buckets = {
        float(sample.labels["le"]): sample.value for sample in samples if sample.name == f"{prefix}_bucket"
    }
    values = {sample.name: sample.value for sample in samples}
    assert all(low <= high for low, high in pairwise(buckets.values()))
    assert list(buckets) == sorted(buckets)
    for bound, count in buckets.items():
        assert count == sum(one <= bound for one in seconds)
    assert buckets[float("inf")] == values[f"{prefix}_count"] == len(seconds)
    assert values[f"{prefix}_sum"] == pytest.approx(sum(seconds))


async def test_open_metrics_are_given_to_those_who_ask_for_them(busy: StateRepository) -> None:
    response = await metrics_of(busy, f"{OPENMETRICS},text/plain;q=0.5")
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert response.text.endswith("# EOF\n")


async def test_both_formats_say_the_same_of_us(busy: StateRepository) -> None:
    texts = [(await metrics_of(busy, accept)).text for accept in ("", OPENMETRICS)]
    first, second = (
        {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for sample in samples_of(text)
            if sample.name.startswith("peep_") and not re.search("lease|memory|round_trip", sample.name)
        }
        for text in texts
    )
    assert first == second


@FORMATS
async def test_every_family_has_help_and_type_and_no_series_comes_twice(
    busy: StateRepository, accept: str
) -> None:
    text = (await metrics_of(busy, accept)).text
    helps, types = described(text, "HELP"), described(text, "TYPE")
    assert set(helps) == set(types)
    assert all(len(words) > 10 and words[0].isupper() for words in helps.values())
    lines = [line.rpartition(" ")[0] for line in text.splitlines() if line and not line.startswith("#")]
    assert [series for series, count in Counter(lines).items() if count > 1] == []
    assert {family_name(re.split("[{ ]", line)[0], types) for line in lines} == set(types)


@FORMATS
async def test_names_follow_the_conventions(busy: StateRepository, accept: str) -> None:
    text = (await metrics_of(busy, accept)).text
    is_open = accept == OPENMETRICS
    for name, kind in described(text, "TYPE").items():
        words = name.split("_")
        assert re.fullmatch("[a-z][a-z0-9_]*", name)
        assert not any(OTHER_UNITS.fullmatch(word) for word in words), f"{name}: base units only"
        assert not set(words) & {"counter", "gauge", "histogram", "metric"}, f"{name}: no types in names"
        units = [word for word in words if word in BASE_UNITS]
        base = name.removesuffix("_total")
        assert not units or base.endswith(units[-1]), f"{name}: the unit stands last"
        if kind == "counter":
            assert name.endswith("_total") != is_open, f"{name}: counters end in _total"
        elif kind == "info" or name.endswith("_info"):
            assert kind in ("info", "gauge")
        else:
            assert not name.endswith(RESERVED_SUFFIXES), f"{name}: this suffix means something else"
        assert kind in ("counter", "gauge", "histogram", "info")


@FORMATS
async def test_labels_are_few_and_well_named(busy: StateRepository, accept: str) -> None:
    for sample in samples_of((await metrics_of(busy, accept)).text):
        if sample.name.startswith("peep_"):
            assert set(sample.labels) <= {"version", "le", "reason", "scheme", "state", "kind", *INSTANCE}
            assert not any(label in sample.name.split("_") for label in sample.labels if label != "le")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process can tell of itself")
async def test_the_process_that_answers_shows_its_own_numbers(busy: StateRepository) -> None:
    values = {sample.name: sample.value for sample in samples_of((await metrics_of(busy)).text)}
    assert values["process_resident_memory_bytes"] > 1e6
    assert values["process_cpu_seconds_total"] > 0
    assert values["python_info"] == 1


@FORMATS
async def test_metrics_without_a_store_say_so_and_show_no_false_zeros(accept: str) -> None:
    async with api_client(auth=None) as client:
        response = await client.get("/metrics", headers={"Accept": accept})
    assert response.status_code == 200
    ours = {
        sample.name: sample.value for sample in samples_of(response.text) if sample.name.startswith("peep_")
    }
    assert ours == {"peep_store_up": 0, "peep_build_info": 1}


async def test_closed_metrics_answer_to_tokens_and_administrators_alone(repository: StateRepository) -> None:
    token = new_token()
    await repository.make_api_token("prometheus", token_digest(token), Role.READ, by=OPERATOR)
    async with api_client(repository, metrics_need_token=True) as client:
        assert (await client.get("/metrics")).status_code == 200
        client.auth = httpx.Auth()
        problem(await client.get("/metrics"), 401, "/docs#unauthenticated")
        wrong = {"Authorization": f"Bearer {new_token()}"}
        problem(await client.get("/metrics", headers=wrong), 401, "/docs#wrong-token")
        right = await client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert "peep_store_up 1" in right.text


async def test_closed_metrics_tell_nothing_to_somebody_unknown_when_the_store_comes_back_at_that_moment(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def administrator(_: str) -> Administrator:
        raise StoreUnavailable

    monkeypatch.setattr(repository, "administrator", administrator)
    async with api_client(repository, metrics_need_token=True) as client:
        answer = await client.get("/metrics")
    assert "peep_store_up 0" in answer.text
    assert "peep_pop3" not in answer.text


async def test_closed_metrics_tell_everybody_that_the_store_is_away() -> None:
    async with api_client(metrics_need_token=True) as client:
        answer = await client.get("/metrics")
    assert "peep_store_up 0" in answer.text
    assert "peep_pop3" not in answer.text
