"""Frequent events: their lines are those of structlog, whatever the values are."""

import datetime as dt
import io
import json
import re
import time

import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from service_runtime.frequent_event import FrequentEvent, JsonLog, Value
from service_runtime.log_file import LogFile
from support.captured_log import logging_as_a_service

TEXTS = st.text() | st.text(
    st.characters(categories=["Cs", "Cc", "Zl", "Zp"]) | st.sampled_from('"\\%s\0{}é😀')
)
VALUES = TEXTS | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.none() | st.booleans()
NAMES = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz_"), min_size=1).filter(
    lambda name: name not in {"event", "level", "timestamp", "service", "worker", "self"}
)
TIMESTAMP = re.compile(r'"timestamp": "(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z)"')


@example(event="\0", fields={})
@given(event=TEXTS, fields=st.dictionaries(NAMES, VALUES, max_size=8))
def test_frequent_event_has_the_line_that_structlog_writes(event: str, fields: dict[str, Value]) -> None:
    with logging_as_a_service() as written:
        frequent = FrequentEvent(event)
        began = time.time_ns() // 1000 * 1000
        structlog.get_logger().info(event, **fields)
        frequent.info(**fields)
        frequent.info(**fields)
        ended = time.time_ns()
    first, *others = written.pieces
    assert len(others) == 2
    for other in others:
        assert TIMESTAMP.sub("", other) == TIMESTAMP.sub("", first)
        (timestamp,) = TIMESTAMP.findall(other)
        moment = dt.datetime.fromisoformat(timestamp)
        assert began / 1e9 - 1e-5 <= moment.timestamp() <= ended / 1e9 + 1e-5
        assert list(json.loads(other)) == [*fields, "event", "service", "worker", "level", "timestamp"]


@given(
    nanoseconds=st.lists(
        st.integers(0, 4_000_000_000 * 10**9) | st.integers(0, 4_000_000_000).map(lambda s: s * 10**9)
    )
)
def test_timestamp_is_that_of_structlog(nanoseconds: list[int]) -> None:
    log = JsonLog(LogFile(io.StringIO()), {})
    for each in nanoseconds:
        moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=each // 1000)
        assert log.timestamp(each) == moment.isoformat().replace("+00:00", "Z")
