"""`/metrics`: counters, gauges, histograms and limits for Prometheus; closed only on demand."""

import asyncio
import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from service_runtime import VERSION
from state_api import errors
from state_api.dependencies import ServicesDependency, find_proof
from state_api.health_metrics import INSTANCE_LABELS, labels_of, of_store, of_vitals
from state_store.errors import StoreUnavailable, StoreUnusable
from state_store.moves import MoveCounts
from state_store.records import Counters, HashCounts, Histogram, InstanceStatus, Latencies, Settings
from state_store.refusals import RefusalCounts
from state_store.repository import StateRepository
from state_store.store_status import StoreStatus

router = APIRouter(tags=["monitoring"])


@dataclass(frozen=True, slots=True)
class Numbers:
    """Every number in the store."""

    counters: Counters
    settings: Settings
    instances: Sequence[InstanceStatus]
    latencies: Latencies
    hash_counts: HashCounts
    move_counts: MoveCounts
    store: StoreStatus
    refusals: RefusalCounts


class StoreCollector(Collector):
    """The store's numbers at one moment; None of them means that the store is away."""

    def __init__(self, numbers: Numbers | None) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Yield a metric family for each number."""
        yield InfoMetricFamily("peep_build", "The version of Peep that answers.", {"version": VERSION})
        yield _gauge("peep_store_up", "Whether Redis answers (1) or not (0).", int(self._numbers is not None))
        if self._numbers is not None:
            yield from _of_counters(self._numbers.counters)
            yield from _of_settings(self._numbers.settings)
            yield from _of_latencies(self._numbers.latencies)
            yield from _of_hash_counts(self._numbers.hash_counts)
            yield from _of_move_counts(self._numbers.move_counts)
            yield from _of_refusals(self._numbers.refusals)
            yield from _of_instances(self._numbers.instances)
            yield from of_vitals(self._numbers.instances)
            yield from of_store(self._numbers.store)


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "In Prometheus's text format, or OpenMetrics where `Accept` prefers that.",
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                "application/openmetrics-text": {"schema": {"type": "string"}},
            },
        },
        **errors.problems(errors.UNAUTHENTICATED),
    },
)
async def show_metrics(request: Request, services: ServicesDependency) -> Response:
    """Every number is over all POP3 instances: ask one state-api only, or take the maximum, never the sum.

    While Redis is away, `peep_store_up` is 0 and the numbers are missing, rather than 0. The ones that
    begin with `process_` and `python_` are of the process that answers. With `PEEP_METRICS_NEED_TOKEN=1` this
    needs an API token or an administrator.
    """
    numbers = None
    with suppress(StoreUnavailable):  # then nobody can be known, and nobody sees numbers
        if services.metrics_need_token:
            await find_proof(request)
        numbers = await _numbers(services.repository)
    registry = CollectorRegistry()
    registry.register(StoreCollector(numbers))
    for collector in _own_collectors():
        registry.register(collector)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), media_type=content_type)


async def _numbers(repository: StateRepository) -> Numbers | None:
    try:
        return Numbers(
            *await asyncio.gather(
                repository.counters(),
                repository.settings(),
                repository.instances(),
                repository.latencies(),
                repository.hash_counts(),
                repository.move_counts(),
            ),
            store=await repository.store_status(),
            refusals=await repository.refusal_counts(),
        )
    except (StoreUnavailable, StoreUnusable):
        return None


@functools.cache
def _own_collectors() -> tuple[Collector, ...]:
    return ProcessCollector(registry=None), PlatformCollector(registry=None)


def _of_counters(counters: Counters) -> Iterable[Metric]:
    yield _counter("retrieved_bytes", "Octets of replies to POP3 commands.", counters.retrieved_bytes)
    yield _counter("retrieved_emails", "Successful RETR commands.", counters.retrieved_emails)
    yield _counter("removed_emails", "Messages removed in the UPDATE state.", counters.removed_emails)
    yield _gauge("peep_pop3_connections", "Open POP3 connections.", counters.current_connections)
    yield _gauge("peep_pop3_logged_in_users", "Users with an open session.", counters.logged_in_users)
    yield _counter("historical_connections", "POP3 connections accepted.", counters.historical_connections)
    yield _counter("logins", "Successful POP3 logins.", counters.historical_logins)


def _of_settings(settings: Settings) -> Iterable[Metric]:
    yield _gauge("peep_pop3_max_connections", "Limit of POP3 connections.", settings.max_connections)
    yield _gauge(
        "peep_pop3_timeout_seconds", "POP3 inactivity timeout, 0 for none.", settings.timeout_seconds
    )


def _of_latencies(latencies: Latencies) -> Iterable[Metric]:
    yield _histogram(
        "command",
        "From a POP3 command's line to the end of its reply, a slow reader included.",
        latencies.command,
    )
    yield _histogram(
        "login", "From PASS or the last line of AUTH to its reply, refused logins included.", latencies.login
    )
    refused = CounterMetricFamily(
        "peep_pop3_refused_logins",
        "POP3 logins and connections that were refused, by reason.",
        labels=["reason"],
    )
    for reason, count in latencies.refused.items():
        refused.add_metric([reason], count)
    yield refused
    yield _counter(
        "damaged_unique_ids",
        "Logins to maildirs whose `peep-unique-ids` is damaged; the log says where.",
        latencies.damaged_unique_ids,
    )


def _of_refusals(counts: RefusalCounts) -> Iterable[Metric]:
    refusals = GaugeMetricFamily(
        "peep_pop3_refusals", "Suspended users, banned networks and exempt networks.", labels=["kind"]
    )
    refusals.add_metric(["suspend"], counts.suspended)
    refusals.add_metric(["ban"], counts.banned)
    refusals.add_metric(["exempt"], counts.exempt)
    yield refusals


def _of_move_counts(counts: MoveCounts) -> Iterable[Metric]:
    moves = GaugeMetricFamily(
        "peep_pop3_moves",
        "Users whose mail comes from the old server, by how far that is; none without PEEP_MOVE_FROM.",
        labels=["state"],
    )
    if counts.source:
        for state in ("moving", "interrupted", "failed", "moved"):
            moves.add_metric([state], getattr(counts, state))
    yield moves


def _of_hash_counts(counts: HashCounts) -> Iterable[Metric]:
    yield _gauge("peep_pop3_users", "POP3 users.", counts.users)
    imported = GaugeMetricFamily(
        "peep_pop3_imported_password_hashes",
        "Users who still have another server's password hash, by scheme.",
        labels=["scheme"],
    )
    for scheme, users in counts.by_scheme.items():
        imported.add_metric([scheme], users)
    yield imported


def _of_instances(instances: Sequence[InstanceStatus]) -> Iterable[Metric]:
    yield _gauge("peep_pop3_instances", "Live POP3 processes.", len(instances))
    connections = _instance_gauge("connections", "Open POP3 connections of this process.")
    reserved = _instance_gauge(
        "reserved_connections", "Slots of the connection limit that this process holds, open ones included."
    )
    load = _instance_gauge("load_ratio", "Processor time that this process takes, 1 for a whole core.")
    lease = _instance_gauge(
        "lease_seconds", "How long this process still counts as alive, unless it says so."
    )
    for status in instances:
        labels = labels_of(status)
        connections.add_metric(labels, status.open_connections)
        reserved.add_metric(labels, status.reserved_connections)
        load.add_metric(labels, status.load)
        lease.add_metric(labels, status.lease_seconds)
    yield from (connections, reserved, load, lease)


def _counter(name: str, documentation: str, value: int) -> Metric:
    return CounterMetricFamily(f"peep_pop3_{name}", documentation, value)


def _gauge(name: str, documentation: str, value: int) -> Metric:
    return GaugeMetricFamily(name, documentation, value)


def _instance_gauge(name: str, documentation: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"peep_pop3_instance_{name}", documentation, labels=INSTANCE_LABELS)


def _histogram(name: str, documentation: str, histogram: Histogram) -> Metric:
    bounds = [*map(str, histogram.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
    return HistogramMetricFamily(
        f"peep_pop3_{name}_duration_seconds", documentation, buckets, histogram.seconds
    )
