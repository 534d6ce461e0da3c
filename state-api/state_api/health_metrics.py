"""What `/metrics` tells of the health of instances, their disks, and the store (D99)."""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily

from state_store.records import InstanceStatus
from state_store.store_status import StoreStatus
from state_store.vitals import Vitals

INSTANCE_LABELS = ("instance_id", "host", "worker")
"""No more than these: each combination is a series that Prometheus keeps, and a restart makes a new one."""

_VITALS: tuple[tuple[str, str, Callable[[Vitals], float | None]], ...] = (
    (
        "peep_tls_certificate_not_after_seconds",
        "When the certificate ends that this process serves, in seconds since the epoch.",
        lambda vitals: vitals.certificate_expires_at or None,
    ),
    (
        "peep_pop3_instance_loop_lag_seconds",
        "By how much the event loop of this process was late at the most, since the last renewal.",
        lambda vitals: vitals.loop_lag,
    ),
    (
        "peep_pop3_instance_threads",
        "Threads of this process.",
        lambda vitals: vitals.threads,
    ),
    (
        "peep_pop3_instance_draining",
        "Whether this process was asked to stop (1) or not (0).",
        lambda vitals: vitals.is_draining,
    ),
    (
        "peep_pop3_instance_store_round_trip_seconds",
        "How long Redis took to answer the last renewal of this process.",
        lambda vitals: vitals.round_trip,
    ),
    (
        "peep_mail_disk_up",
        "Whether this process can read the mail directory (1) or not (0).",
        lambda vitals: 0 if vitals.disk_fault else 1 if vitals.disk_octets else None,
    ),
    (
        "peep_mail_disk_look_seconds",
        "How long this process's last look at the mail directory took, or has taken so far.",
        lambda vitals: vitals.disk_look,
    ),
    (
        "peep_mail_disk_size_bytes",
        "The size of the mail directory's file system.",
        lambda vitals: vitals.disk_octets or None,
    ),
    (
        "peep_mail_disk_free_bytes",
        "What of it is free.",
        lambda vitals: vitals.disk_free if vitals.disk_octets else None,
    ),
    (
        "peep_mail_disk_inodes",
        "The inodes of that file system; missing where it makes them when they are needed.",
        lambda vitals: vitals.disk_inodes or None,
    ),
    (
        "peep_mail_disk_free_inodes",
        "How many of them are free.",
        lambda vitals: vitals.disk_free_inodes if vitals.disk_inodes else None,
    ),
)

_STORE: tuple[tuple[str, str, Callable[[StoreStatus], float]], ...] = (
    ("memory_bytes", "Octets that Redis has in use.", lambda store: store.memory),
    ("max_memory_bytes", "Its maxmemory, 0 without one.", lambda store: store.max_memory),
    ("may_evict", "Whether it throws keys away once that is full.", lambda store: store.may_evict),
    (
        "append_only",
        "Whether it has an append-only file, and its last write went well.",
        lambda store: store.keeps_log and not store.log_fault,
    ),
    ("replicas", "Its replicas that are in step.", lambda store: store.replicas),
    ("replicas_behind", "Its replicas that are not.", lambda store: store.replicas_behind),
)


def of_vitals(instances: Sequence[InstanceStatus]) -> Iterator[GaugeMetricFamily]:
    """Yield what instances tell of themselves; those of an older version tell nothing."""
    told = [(labels_of(status), status, status.vitals) for status in instances if status.vitals is not None]
    for name, documentation, value in _VITALS:
        family = GaugeMetricFamily(name, documentation, labels=INSTANCE_LABELS)
        for labels, _, vitals in told:
            if (figure := value(vitals)) is not None:
                family.add_metric(labels, figure)
        yield family
    clock = GaugeMetricFamily(
        "peep_pop3_instance_clock_ahead_seconds",
        "By how much this process's clock is ahead of Redis', below 0 when it is behind.",
        labels=INSTANCE_LABELS,
    )
    for labels, status, _ in told:
        clock.add_metric(labels, status.clock_ahead)
    yield clock


def of_store(store: StoreStatus) -> Iterator[GaugeMetricFamily]:
    """Yield what Redis tells of itself: only its answer's time where `INFO` is forbidden."""
    yield GaugeMetricFamily(
        "peep_store_round_trip_seconds", "How long Redis took to answer just now.", store.round_trip
    )
    for name, documentation, value in _STORE if store.is_told else ():
        yield GaugeMetricFamily(f"peep_store_{name}", documentation, value(store))


def labels_of(status: InstanceStatus) -> list[str]:
    """Return the values of `INSTANCE_LABELS`."""
    return [status.instance.instance_id, status.instance.host, str(status.instance.worker)]
