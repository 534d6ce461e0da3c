"""`peepctl users show`, `users top` and the sorted `users list`, with the HTTP API over a real store."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis

from peepctl.moments import local_second
from state_store.repository import StateRepository
from state_store.repository.user_records import STRANGERS
from state_store.user_records import RecordText
from support.api_server import api_server
from support.kept_records import keep_records
from support.peep_gateway_server import add_users
from support.peepctl_beside_api import PeepctlBesideApi


@pytest.fixture
async def peepctl(
    repository: StateRepository, tmp_path: Path, behind_the_scenes: redis.Redis
) -> AsyncIterator[PeepctlBesideApi]:
    """Give `peepctl` beside an API where alice was refused and has fetched mail, and bob never came."""
    await add_users(repository, "alice", "bob", "carol")
    record, now = RecordText(), int(time.time())
    record.take(now - 7200, "l 192.0.2.7 TLSv1.3 PLAIN 20 614400 0 0")
    record.take(now - 60, "t 5120 3")
    record.take(
        now - 60, "r IN_USE 2 192.0.2.8 - USER held by 192.0.2.7 since 2026-01-29T20:11:03Z (session a-1)"
    )
    keep_records(behind_the_scenes, {"alice": record.text})
    async with api_server(repository) as api:
        yield PeepctlBesideApi(api, tmp_path)


async def test_a_user_is_shown_with_why_and_what_to_do(peepctl: PeepctlBesideApi) -> None:
    done = await peepctl.run("users", "show", "alice")
    assert (done.code, done.stderr) == (0, "")
    assert "last login     2 h ago from 192.0.2.7 by PLAIN, TLSv1.3\n" in done.stdout
    assert "maildrop then  20 messages, 614.4 kB\n" in done.stdout
    assert "today          3 messages, 5.1 kB\n" in done.stdout
    assert "refused: maildrop in use, 2 since the last login" in done.stdout
    since = local_second("2026-01-29T20:11:03Z")
    holder = f"held by 192.0.2.7 since {since} (session a-1)"
    assert f"from 192.0.2.8 by USER, without TLS\n  {holder}\n  Another session" in done.stdout
    shown = json.loads((await peepctl.run("users", "show", "alice", "--json")).stdout)
    assert shown["refusals"][0]["count"] == 2


async def test_a_user_who_never_came_and_one_who_is_unknown(peepctl: PeepctlBesideApi) -> None:
    assert "last login    none since 20" in (await peepctl.run("users", "show", "bob")).stdout
    unknown = await peepctl.run("users", "show", "nobody")
    assert unknown.code == 1
    assert "404" in unknown.stderr
    assert "login refused" not in unknown.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [(("top",), 0), (("list", "--refused", "1d"), 0), (("list", "--not-since", "90d", "--names"), 1)],
)
async def test_lists_say_that_nothing_is_kept_and_name_nobody_as_somebody_who_never_came(
    peepctl: PeepctlBesideApi, repository: StateRepository, words: tuple[str, ...], code: int
) -> None:
    await repository.forget_all_user_records()
    done = await peepctl.run("users", *words)
    assert done.code == code
    assert "nothing is known of logins: no records are kept (PEEP_LOGIN_RECORDS=0), or" in done.stderr
    assert not {"alice", "bob", "carol"} & set(done.stdout.split())
    shown = await peepctl.run("users", "show", "alice")
    assert "last login    none: nothing is known of logins" in shown.stdout


async def test_refused_logins_under_names_that_nobody_has_are_told_in_sum(
    peepctl: PeepctlBesideApi, behind_the_scenes: redis.Redis
) -> None:
    strangers, now = RecordText(), int(time.time())
    for reason in ("UNKNOWN_USER", "REPEATED", "BANNED"):
        strangers.take(now - 60, f"r {reason} 2 192.0.2.8 - USER")
    keep_records(behind_the_scenes, {STRANGERS: strangers.text})
    unknown = await peepctl.run("users", "show", "nobody")
    assert unknown.code == 1
    assert "4 logins under unknown names were refused so far, the last one at " in unknown.stderr
    assert "as `login refused`" in unknown.stderr
    listed = await peepctl.run("users", "list", "--refused", "1d")
    assert listed.stdout.splitlines()[-1].startswith("and 4 refused logins under unknown names")
    assert "unknown names" not in (await peepctl.run("users", "list", "--sort", "name")).stdout


async def test_who_uses_most_comes_first_and_who_used_nothing_not_at_all(peepctl: PeepctlBesideApi) -> None:
    done = await peepctl.run("users", "top", "week")
    assert [line.split()[:4] for line in done.stdout.splitlines()] == [
        ["USER", "SENT", "MESSAGES", "LAST"],
        ["alice", "5.1", "kB", "3"],
    ]


async def test_users_are_listed_by_what_is_kept_of_them(peepctl: PeepctlBesideApi) -> None:
    async def listed(*options: str) -> list[str]:
        done = await peepctl.run("users", "list", *options)
        assert (done.code, done.stderr) == (0, "")
        return [line.split()[0] for line in done.stdout.splitlines()[1:]]

    assert await listed("--sort", "last-login") == ["alice", "bob", "carol"]
    assert await listed("--not-since", "90d") == ["bob", "carol"]
    assert await listed("--refused", "1d", "--search", "LI") == ["alice"]
    refused = await peepctl.run("users", "list", "--refused", "1d")
    assert " ago, maildrop in use " in refused.stdout
    assert await listed("--suspended") == []
    recent = await peepctl.run("users", "list", "--not-since", "300d", "--names")
    assert (recent.code, recent.stdout) == (0, "bob\ncarol\n")
    assert "logins are known since 20" in recent.stderr
    assert "all who have not logged in since then are listed" in recent.stderr
    wrong = await peepctl.run("users", "list", "--not-since", "soon")
    assert wrong.code == 2
    assert "soon is no number of days, such as 90d" in wrong.stderr


async def test_a_name_that_is_no_text_is_refused_in_one_line(peepctl: PeepctlBesideApi) -> None:
    for words in (
        ("users", "show", "\udcff"),
        ("users", "list", "--search", "\udcff"),
        ("audit", "--who", "\udcff"),
    ):
        done = await peepctl.run(*words)
        assert (done.code, done.stderr) == (2, "peepctl: \\udcff is not UTF-8 text\n")
