"""`peepctl history` and `health`, beside the HTTP API."""

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from peepctl.sparkline import PLAIN_BLOCKS
from state_store.health import NewHealthChange
from state_store.redis import keys
from state_store.repository import StateRepository
from support.api_server import api_server
from support.busy_store import make_busy, vitals
from support.past import CONNECTIONS_AT_MOST, write_past
from support.peep_gateway_server import instance
from support.peepctl_beside_api import PeepctlBesideApi


@pytest.fixture
async def peepctl(repository: StateRepository, tmp_path: Path) -> AsyncIterator[PeepctlBesideApi]:
    await make_busy(repository)
    async with api_server(repository) as api:
        yield PeepctlBesideApi(api, tmp_path)


@pytest.fixture
def past(redis_url: str) -> None:
    """Let there be a year of history."""
    write_past(redis_url)


@pytest.mark.usefixtures("past")
async def test_history_is_a_line_of_blocks_for_each_metric(peepctl: PeepctlBesideApi) -> None:
    done = await peepctl.run("history", "--last", "1y")
    assert done.code == 0, done.stderr
    head, *lines, foot = done.stdout.splitlines()
    assert head.split() == ["METRIC", "LEAST", "MOST", "LAST", "OVER", "TIME"]
    by_metric = {line.split()[0]: line for line in lines}
    assert len(by_metric) == 16
    assert f"  {CONNECTIONS_AT_MOST}  " in by_metric["current_connections"]
    assert "2.0 kB/s" in by_metric["retrieved_bytes"]
    assert by_metric["current_connections"].split()[-1].count(PLAIN_BLOCKS[-1]) > 30
    assert foot == "each figure is of 9 d 15 h; where there is no block there is no figure"


@pytest.mark.usefixtures("past")
async def test_history_as_csv_table_and_json_has_the_same_figures(peepctl: PeepctlBesideApi) -> None:
    asked = (
        "history",
        "current_connections",
        "retrieved_bytes",
        "--last",
        "24h",
        "--step",
        "1h",
        "--to",
        datetime.now(UTC).isoformat(),
    )
    told = json.loads((await peepctl.run(*asked, "--json")).stdout)
    rows = list(csv.reader(io.StringIO((await peepctl.run(*asked, "--format", "csv")).stdout)))
    table = (await peepctl.run(*asked, "--format", "table")).stdout.splitlines()
    assert rows[0] == ["time", "current_connections", "retrieved_bytes"]
    assert len(rows) == len(table) == len(told["times"]) + 1 in {25, 26}
    assert [row[1] for row in rows[1:]] == [
        "" if value is None else f"{value:g}" for value in told["series"][0]["values"]
    ]
    assert rows[5][2] == "2000"
    assert table[5].split() == rows[5]


async def test_history_of_a_new_server_says_that_nothing_is_known(peepctl: PeepctlBesideApi) -> None:
    lines = (await peepctl.run("history", "load", "--to", "2020-01-01")).stdout.splitlines()
    assert lines[1].split() == ["load", "-", "-", "-"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--last", "yesterday"], "must be a number and a unit"),
        (["--to", "three"], "must be a time"),
        (["--format", "xml"], "xml"),
    ],
)
async def test_what_is_no_time_is_said_so(
    peepctl: PeepctlBesideApi, arguments: list[str], reason: str
) -> None:
    done = await peepctl.run("history", *arguments)
    assert (done.code, reason in " ".join(done.stderr.split())) == (2, True), done.stderr


async def test_a_metric_that_is_none_is_refused(peepctl: PeepctlBesideApi) -> None:
    done = await peepctl.run("history", "passwords")
    assert (done.code, "answers 422" in done.stderr) == (1, True)


# Health


async def test_health_that_is_well_is_exit_code_0(peepctl: PeepctlBesideApi) -> None:
    done = await peepctl.run("health")
    first, head, *rows = done.stdout.splitlines()
    assert (done.code, first) == (0, f"OK: {len(rows)} checks"), done.stdout
    assert head.split()[:3] == ["STATE", "WHAT", "WHERE"]


@pytest.mark.parametrize(("free", "code", "word"), [(90, 1, "WARNING"), (10, 2, "CRITICAL")])
async def test_health_that_is_not_is_in_exit_code_and_first_line(
    repository: StateRepository, peepctl: PeepctlBesideApi, free: int, code: int, word: str
) -> None:
    await repository.note_vitals("pop3", vitals(disk_free=free))
    done = await peepctl.run("health")
    first, _, row, *_ = done.stdout.splitlines()
    assert (done.code, first) == (code, f"{word}: mail-disk {instance().host}: {free}.0 B of 1.0 kB are free")
    assert (row.split()[:2], "Make room" in row) == ([word.lower(), "mail-disk"], True)
    assert json.loads((await peepctl.run("health", "--json")).stdout)["state"] == word.lower()


async def test_health_that_cannot_be_asked_for_is_critical_or_unknown(peepctl: PeepctlBesideApi) -> None:
    nobody = await peepctl.run("health", PEEPCTL_HTTP="http://127.0.0.1:1")
    assert (nobody.code, nobody.stderr.startswith("peepctl: CRITICAL: http://127.0.0.1:1")) == (2, True)
    stranger = await peepctl.run("health", PEEPCTL_PASSWORD="wrong")
    assert (stranger.code, stranger.stderr.startswith("peepctl: UNKNOWN: wrong administrator")) == (3, True)


async def test_health_without_a_pop3_process_is_critical(
    peepctl: PeepctlBesideApi, behind_the_scenes: redis.Redis
) -> None:
    behind_the_scenes.delete(keys.LEASES)
    done = await peepctl.run("health")
    first = done.stdout.splitlines()[0]
    assert (done.code, first) == (2, "CRITICAL: instances: 0 POP3 processes are alive")


async def test_changes_of_health_are_shown_the_latest_last(
    repository: StateRepository, peepctl: PeepctlBesideApi
) -> None:
    bad = [
        NewHealthChange("mail-disk", host, "ok", "critical", "cannot be read: Stale file handle")
        for host in ("mail-1", "mail-2")
    ]
    await repository.watch_health("one")
    await repository.note_health("one", bad)
    await repository.note_health(
        "one", [one._replace(before="critical", state="ok", text="all free") for one in bad]
    )
    head, *rows = (await peepctl.output("health", "--changes", "24h")).splitlines()
    assert head.split() == ["TIME", "STATE", "WHAT", "WHERE", "HOW", "IT", "WAS"]
    assert [row.split(maxsplit=4)[2:] for row in rows] == [
        ["critical", "mail-disk", "mail-1 and 1 more  cannot be read: Stale file handle"],
        ["ok", "mail-disk", "mail-1 and 1 more  all free"],
    ]
    told = json.loads(await peepctl.output("health", "--changes", "999999999y", "--json"))
    assert [one["state"] for one in told["changes"]] == ["ok", "critical"]
    wrong = await peepctl.run("health", "--changes", "yesterday")
    assert (wrong.code, "must be a number and a unit: 30m, 24h" in wrong.stderr) == (2, True)
