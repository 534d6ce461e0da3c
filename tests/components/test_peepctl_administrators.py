"""`peepctl admins` and `peepctl tokens`, with the HTTP API over a real store."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peepctl.http_api import HttpApi
from state_store.credentials.api_tokens import is_token
from state_store.repository import StateRepository
from support.api_client import ADMINISTRATOR
from support.api_server import api_server
from support.peepctl_beside_api import PeepctlBesideApi

NOBODY = {"PEEPCTL_USER": "", "PEEPCTL_PASSWORD": ""}


@pytest.fixture
async def peepctl(repository: StateRepository, tmp_path: Path) -> AsyncIterator[PeepctlBesideApi]:
    async with api_server(repository) as api:
        yield PeepctlBesideApi(api, tmp_path)


async def test_administrators_are_made_listed_changed_and_removed(peepctl: PeepctlBesideApi) -> None:
    added = await peepctl.output("admins", "add", "bob", "--role", "read", given="bobs-password\n")
    assert added == "added the administrator bob with the role read\n"
    assert (await peepctl.output("admins", "list")).splitlines() == [
        "NAME  ROLE  FROM",
        "bob   read  -",
        f"{ADMINISTRATOR}  all   settings",
    ]
    as_bob = {"PEEPCTL_USER": "bob", "PEEPCTL_PASSWORD": "bobs-password"}
    refused = await peepctl.run("admins", "remove", "bob", "--yes", **as_bob)
    assert (refused.code, refused.stdout) == (1, "")
    assert "answers 403: This needs the role all; read is not enough." in refused.stderr
    await peepctl.output("admins", "role", "bob", "all")
    changed = await peepctl.output("admins", "password", "bob", given="another-password\n", **as_bob)
    assert "all sign-ins with the old one are over" in changed
    assert (await peepctl.run("admins", "list", **as_bob)).code == 4
    as_bob["PEEPCTL_PASSWORD"] = "another-password"
    (await peepctl.run("tokens", "make", "backup", "--role", "all", **as_bob)).stdout.strip()
    asked = await peepctl.run("admins", "remove", "bob")
    assert (asked.code, asked.stdout) == (1, "")
    assert "--yes" in asked.stderr
    removed = await peepctl.output("admins", "remove", "bob", "--yes")
    assert removed.splitlines() == [
        "removed the administrator bob",
        "API tokens that bob has made stay valid: backup (peepctl tokens revoke)",
    ]
    listed = json.loads(await peepctl.output("admins", "list", "--json"))
    assert [one["name"] for one in listed["administrators"]] == [ADMINISTRATOR]


async def test_a_token_does_what_its_role_allows_and_its_source_is_named_when_it_is_refused(
    peepctl: PeepctlBesideApi,
) -> None:
    made = await peepctl.run(
        "tokens", "make", "helper", "--role", "read", "--network", "127.0.0.0/8", "--days", "9"
    )
    token = made.stdout.strip()
    assert (made.code, made.stderr, is_token(token)) == (0, "", True)
    variable = {**NOBODY, "PEEPCTL_TOKEN": token}
    head, row = (await peepctl.output("tokens", "list", **variable)).splitlines()
    assert head.split()[:3] == ["NAME", "ROLE", "NETWORKS"]
    assert row.split()[:3] == ["helper", "read", "127.0.0.0/8"]
    (listed,) = json.loads(await peepctl.output("tokens", "list", "--json", **variable))["tokens"]
    assert (listed["made_by"], listed["used_from"]) == (ADMINISTRATOR, "127.0.0.1")
    refused = await peepctl.run("tokens", "revoke", "helper", **variable)
    assert "This needs the role all" in refused.stderr
    # PEEP takes no tokens, and says what it needs instead.
    over_peep = await peepctl.run("stats", **variable)
    assert over_peep.code == 2
    assert "an API token is for the HTTP API alone" in over_peep.stderr
    assert await peepctl.output("tokens", "revoke", "helper") == "revoked the token helper\n"
    over = await peepctl.run("tokens", "list", **variable)
    assert over.code == 4
    assert "does not take the API token from PEEPCTL_TOKEN" in over.stderr
    assert token not in over.stderr


async def test_what_the_api_refuses_is_told(peepctl: PeepctlBesideApi) -> None:
    last = await peepctl.run("admins", "remove", ADMINISTRATOR, "--yes")
    assert (last.code, "PEEP_ADMINS" in last.stderr) == (1, True)
    short = await peepctl.run("admins", "add", "bob", "--role", "read", given="short\n")
    assert (short.code, "422" in short.stderr) == (1, True)
    unknown = await peepctl.run("tokens", "revoke", "nobody")
    assert (unknown.code, "No API token has this name" in unknown.stderr) == (1, True)


async def test_who_is_there_already_may_be_so_by_a_try_whose_answer_was_lost(
    peepctl: PeepctlBesideApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, answers = HttpApi._exchange, list[int]()

    def cut_once(api: HttpApi, method: str, path: str, body: bytes | None) -> tuple[int, bytes, float]:
        answer = exchange(api, method, path, body)
        answers.append(answer[0])
        if len(answers) == 1:
            raise ConnectionResetError
        return answer

    monkeypatch.setattr(HttpApi, "_exchange", cut_once)
    monkeypatch.setattr("peepctl.http_api.time.sleep", lambda _: None)
    done = await peepctl.run("admins", "add", "eve", "--role", "read", given="eves-password\n")
    assert (done.code, answers) == (1, [201, 409])
    assert "already. This was another try: an earlier one may have been carried out.\n" in done.stderr
    again = await peepctl.run("admins", "add", "eve", "--role", "read", given="eves-password\n")
    assert again.stderr.endswith("already.\n")


async def test_what_the_api_refuses_is_named_with_the_reason(peepctl: PeepctlBesideApi) -> None:
    refused = await peepctl.run("tokens", "make", "t", "--role", "read", "--network", "fe80::1%eth0")
    reason = "networks.0: an address with an interface (%) is no network"
    assert (refused.code, refused.stderr.partition(" answers 422: ")[2]) == (1, f"{reason}\n")
