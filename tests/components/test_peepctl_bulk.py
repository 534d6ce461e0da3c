"""What `peepctl` does to many: closes sessions, adds and suspends users of a list."""

import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from peepctl.http_api import HttpApi
from state_store.audit import Wanted
from state_store.records import Credential, Exchange, SessionRow
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_client import failed_fields, problem
from support.api_server import ApiServer, api_server
from support.peep_gateway_server import instance, pop3_instance
from support.peepctl_beside_api import PeepctlBesideApi


@pytest.fixture
async def api(repository: StateRepository) -> AsyncIterator[ApiServer]:
    async with api_server(repository) as api:
        yield api


@pytest.fixture
def peepctl(api: ApiServer, tmp_path: Path) -> PeepctlBesideApi:
    return PeepctlBesideApi(api, tmp_path)


@asynccontextmanager
async def open_sessions(
    repository: StateRepository, rows: Sequence[tuple[str | None, str]]
) -> AsyncIterator[None]:
    """Let an instance live that closes what it is asked to close."""
    now = time.time()
    shown = [SessionRow(f"s{n}", "pop3", user, address, now + n) for n, (user, address) in enumerate(rows)]
    async with pop3_instance(repository):
        await repository.exchange(Exchange("pop3", 0, session_rows=shown))
        yield


async def left(repository: StateRepository) -> list[str]:
    return [one.session_id for one in await repository.sessions()]


OPEN = [("alice", "192.0.2.1"), ("bob", "192.0.2.200"), (None, "2001:db8::1"), ("alice", "198.51.100.1")]


async def test_sessions_of_a_network_or_user_are_closed_each_with_an_entry(
    repository: StateRepository, peepctl: PeepctlBesideApi
) -> None:
    async with open_sessions(repository, OPEN):
        unsure = await peepctl.run("sessions", "close", "--network", "192.0.2.0/24")
        assert (unsure.code, await left(repository)) == (1, ["s0", "s1", "s2", "s3"])
        assert "the sessions of network 192.0.2.0/24 are not closed" in unsure.stderr
        done = await peepctl.run("sessions", "close", "--network", "192.0.2.0/24", "--of", "alice", "--yes")
        assert (done.code, done.stdout) == (0, "closed 1 session\n")
        done = await peepctl.run("sessions", "close", "--network", "192.0.2.128/25", "--yes")
        assert (done.stdout, await left(repository)) == ("closed 1 session\n", ["s2", "s3"])
        acts = (await repository.acts_before("", 10, Wanted(action="session.close"))).acts
        assert [(act.object, act.by.name) for act in acts] == [("s1 bob", "root"), ("s0 alice", "root")]
        assert (await peepctl.run("sessions", "close", "--yes")).code == 2
        assert (await peepctl.run("sessions", "close", "--all", "--of", "bob", "--yes")).code == 2
        wrong = await peepctl.run("sessions", "close", "--network", "nowhere", "--yes")
        assert (wrong.code, len(await left(repository))) == (1, 2)
        done = await peepctl.run("sessions", "close", "--all", "--yes")
        assert (done.stdout, await left(repository)) == ("closed 2 sessions\n", [])


async def test_idle_sessions_are_closed_and_those_of_which_it_is_not_known_stay(
    repository: StateRepository, peepctl: PeepctlBesideApi
) -> None:
    now = time.time()
    active_at = {"s0": now - 700, "s1": now - 650, "s2": now - 30, "s3": 0.0}
    rows = [
        SessionRow(name, "pop3", "alice", f"192.0.2.{number}", now - 800, active_at=moment)
        for number, (name, moment) in enumerate(active_at.items())
    ]
    async with pop3_instance(repository):
        await repository.exchange(Exchange("pop3", 0, session_rows=rows))
        unsure = await peepctl.run("sessions", "close", "--idle", "10m")
        assert "the sessions of everybody, idle for 10m are not closed" in unsure.stderr
        done = await peepctl.run("sessions", "close", "--idle", "10m", "--network", "192.0.2.1", "--yes")
        assert (done.stdout, await left(repository)) == ("closed 1 session\n", ["s0", "s2", "s3"])
        done = await peepctl.run("sessions", "close", "--idle", "10m", "--yes")
        assert (done.stdout, await left(repository)) == ("closed 1 session\n", ["s2", "s3"])
        for text in ("soon", "0m", "10"):
            wrong = await peepctl.run("sessions", "close", "--idle", text, "--yes")
            assert (wrong.code, "give a time as 45s" in wrong.stderr) == (2, True)


async def test_many_more_sessions_than_a_request_closes_are_closed(
    repository: StateRepository, peepctl: PeepctlBesideApi, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("state_api.routers.closing.MOST", 2)
    async with open_sessions(repository, [("alice", "192.0.2.1")] * 5):
        first = (await api.client.delete("/v1/sessions?username=alice")).json()
        assert (first, await left(repository)) == (
            {"closed": 2, "unclosed": [], "left": 3},
            ["s2", "s3", "s4"],
        )
        assert (
            await peepctl.run("sessions", "close", "--of", "alice", "--yes")
        ).stdout == "closed 3 sessions\n"


async def test_closing_all_sessions_needs_a_confirmation(repository: StateRepository, api: ApiServer) -> None:
    async with open_sessions(repository, OPEN):
        refused = problem(await api.client.delete("/v1/sessions"), 409, "/docs#needs-confirmation")
        assert refused["errors"][0]["message"].startswith("closes all 4 sessions")
        refused = problem(
            await api.client.delete("/v1/sessions?network=0.0.0.0/0"), 409, "/docs#needs-confirmation"
        )
        assert refused["errors"][0]["message"].endswith("0.0.0.0/0 holds everybody")
        assert "network" in failed_fields(await api.client.delete("/v1/sessions?network=192.0.2.0/99"))
        assert len(await left(repository)) == 4


async def test_a_session_that_is_not_closed_in_time_is_named(
    repository: StateRepository, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("state_store.repository.monitoring.CLOSING_SECONDS", 0.02)
    await repository.register_instance(instance())
    row = SessionRow("s1", "pop3", "alice", "192.0.2.1", 1000.0)
    await repository.exchange(Exchange("pop3", 0, session_rows=[row]))
    answer = await api.client.delete("/v1/sessions?confirm=true")
    assert answer.json() == {"closed": 0, "unclosed": ["s1"], "left": 0}


async def test_users_of_a_list_are_added_and_passwords_made_where_it_has_none(
    repository: StateRepository, peepctl: PeepctlBesideApi, tmp_path: Path, api: ApiServer
) -> None:
    await repository.add_user("bob", Credential("$argon2id$one", "v1"), by=OPERATOR)
    users = tmp_path / "users"
    users.write_text("# new ones\nalice\nbob\n\ncarol:a secret: indeed\n.dot\n")
    users.chmod(0o600)
    done = await peepctl.run("users", "add", "--from", str(users))
    (made,) = done.stdout.splitlines()
    assert re.fullmatch("alice:[A-Za-z0-9]{20}", made)
    assert done.code == 1
    assert "bob exists already" in done.stderr
    assert ".dot is not added: username: must be" in done.stderr
    assert "2 added, 1 exists, 1 refused" in done.stderr
    assert "secret" not in done.stderr
    assert await repository.usernames_after("", 9) == ["alice", "bob", "carol"]
    listed = "name,password\ndave\nerin\nfrank,a: secret\ng,ina\ta secret\n"
    again = await peepctl.run("users", "add", "--from", "-", given=listed)
    assert (again.code, len(again.stdout.splitlines())) == (0, 2)
    assert await repository.usernames_after("carol", 9) == ["dave", "erin", "frank", "g,ina"]
    users.write_text("user,password\nhal,a secret\n", "utf-8-sig")  # as spreadsheets save it on Windows
    assert (await peepctl.run("users", "add", "--from", str(users))).code == 0
    assert await repository.usernames_after("g,ina", 9) == ["hal"]
    users.chmod(0o644)
    for arguments, words in (
        (("--from", str(users)), "others can read it"),
        (("--from", str(tmp_path / "none")), "cannot be read"),
        (("frank", "--from", "-"), "Give a USER, or --from FILE"),
        ((), "Give a USER, or --from FILE"),
    ):
        wrong = await peepctl.run("users", "add", *arguments)
        assert (wrong.code, words in wrong.stderr) == (2, True)
    for given, words in (
        ("", "names nobody"),
        ("Username:Password\n", "names nobody"),
        ("frank;secret\n", "must be `:`, `,` or a tab"),
        ("a\na\n", "twice"),
        ("x" * 5000, "longer than"),
    ):
        wrong = await peepctl.run("users", "add", "--from", "-", given=given)
        assert (wrong.code, words in wrong.stderr) == (2, True)


async def test_a_password_that_was_made_is_shown_also_when_the_answer_to_the_first_try_was_lost(
    repository: StateRepository, peepctl: PeepctlBesideApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await repository.add_user("bob", Credential("$argon2id$one", "v1"), by=OPERATOR)
    exchange, lost = HttpApi._exchange, list[str]()

    def cut_once(api: HttpApi, method: str, path: str, body: bytes | None) -> tuple[int, bytes, float]:
        """Answer as the API does, but for the first request that adds somebody, once it is carried out."""
        answer = exchange(api, method, path, body)
        if b"dry_run" not in (body or b"") and not lost:
            lost.append(path)
            raise ConnectionResetError
        return answer

    monkeypatch.setattr(HttpApi, "_exchange", cut_once)
    monkeypatch.setattr("peepctl.http_api.time.sleep", lambda _: None)
    done = await peepctl.run("users", "add", "--from", "-", given="alice\nbob\n")
    (made,) = done.stdout.splitlines()
    assert (made.partition(":")[0], lost) == ("alice", ["/v1/users"])
    assert "bob exists already" in done.stderr
    assert "1 added, 1 exists" in done.stderr


async def test_help_names_arguments_without_types_of_python(peepctl: PeepctlBesideApi) -> None:
    for words in (("refusals", "suspend"), ("refusals", "ban"), ("raw",), ("history",), ("tokens", "make")):
        done = await peepctl.run(*words, "--help")
        assert done.code == 0
        assert "list[" not in done.stdout
    assert "  USER  POP3 users." in (await peepctl.run("refusals", "suspend", "--help")).stdout


async def test_users_of_a_list_are_suspended(repository: StateRepository, peepctl: PeepctlBesideApi) -> None:
    for name in ("alice", "bob"):
        await repository.add_user(name, Credential("$argon2id$one", "v1"), by=OPERATOR)
    done = await peepctl.run(
        "refusals", "suspend", "--from", "-", "--reason", "unpaid", given="alice\nbob\nnobody\nbob\n"
    )
    assert (done.code, done.stdout) == (1, "suspended alice\nsuspended bob\n")
    assert "nobody is not set: there is no such user" in done.stderr
    listed = json.loads((await peepctl.run("refusals", "list", "--json")).stdout)["refusals"]
    assert [(one["subject"], one["reason"]) for one in listed] == [("alice", "unpaid"), ("bob", "unpaid")]
    assert (await peepctl.run("refusals", "suspend", "alice", "--from", "-")).code == 2


async def test_a_malformed_name_of_a_list_keeps_no_other_user_from_being_suspended(
    repository: StateRepository, peepctl: PeepctlBesideApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alice", "bob"):
        await repository.add_user(name, Credential("$argon2id$one", "v1"), by=OPERATOR)
    malformed = [f".dot{number}" for number in range(15)]  # the API tells of ten at once
    names = ["alice", *malformed, "with space", "bob"]
    done = await peepctl.run("refusals", "suspend", "--from", "-", given="\n".join(names))
    assert (done.code, done.stdout) == (1, "suspended alice\nsuspended bob\n")
    told = done.stderr.splitlines()
    assert [line.split(" is not set: must be 1 to 128")[0] for line in told] == [
        f"peepctl: {name}" for name in (*malformed, "with space")
    ]
    long = await peepctl.run("refusals", "suspend", "--from", "-", "--reason", "x" * 201, given="alice\n")
    assert long.code == 1
    assert "alice and those after it in the list are not suspended" in long.stderr


async def test_users_that_a_filter_finds_are_suspended_by_their_names(
    repository: StateRepository, peepctl: PeepctlBesideApi
) -> None:
    for name in ("alice", "bob", "carol"):
        await repository.add_user(name, Credential("$argon2id$one", "v1"), by=OPERATOR)
    found = await peepctl.run("users", "list", "--search", "o", "--names")
    assert found.stdout == "bob\ncarol\n"
    done = await peepctl.run("refusals", "suspend", "--from", "-", given=found.stdout)
    assert done.stdout == "suspended bob\nsuspended carol\n"
