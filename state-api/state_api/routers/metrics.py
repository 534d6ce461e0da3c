"""`/metrics`: counters, gauges and limits for Prometheus. Without a password."""

from collections.abc import Iterable, Iterator

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from service_runtime import VERSION
from state_api.dependencies import RepositoryDependency
from state_store.errors import StoreUnavailable
from state_store.records import Counters, Settings
from state_store.repository import StateRepository

router = APIRouter(tags=["monitoring"])


class StoreCollector(Collector):
    """The store's numbers at one moment, or, with none, the news that the store is away."""

    def __init__(self, numbers: tuple[Counters, Settings] | None) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Yield a family for each number, with the names that dashboards rely on."""
        yield InfoMetricFamily("peep_build", "The version of Peep that answers.", {"version": VERSION})
        yield _gauge("peep_store_up", "Whether Redis answers (1) or not (0).", int(self._numbers is not None))
        if self._numbers is not None:
            yield from _of_counters(self._numbers[0])
            yield from _of_settings(self._numbers[1])


@router.get(
    "/metrics",
    operation_id="show_metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def show_metrics(request: Request, repository: RepositoryDependency) -> Response:
    """Every number is over all POP3 instances: ask one state-api only, or take the maximum, never the sum.

    While Redis is away, `peep_store_up` is 0 and the numbers are missing, rather than 0.
    """
    registry = CollectorRegistry()
    registry.register(StoreCollector(await _numbers(repository)))
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), media_type=content_type)


async def _numbers(repository: StateRepository) -> tuple[Counters, Settings] | None:
    try:
        return await repository.counters(), await repository.settings()
    except StoreUnavailable:
        return None


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


def _counter(name: str, documentation: str, value: int) -> Metric:
    return CounterMetricFamily(f"peep_pop3_{name}", documentation, value)


def _gauge(name: str, documentation: str, value: int) -> Metric:
    return GaugeMetricFamily(name, documentation, value)
