"""`peepctl refusals`, with the HTTP API over a real store."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from state_store.administrators import Role
from state_store.records import Credential
from state_store.refusals import NewRefusal, RefusalKind
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.allowances import use_up
from support.api_client import administrator_hash
from support.api_server import api_server
from support.patience import no_patience_with_instances
from support.peep_gateway_server import instance
from support.peepctl_beside_api import PeepctlBesideApi


@pytest.fixture
async def peepctl(repository: StateRepository, tmp_path: Path) -> AsyncIterator[PeepctlBesideApi]:
    for name in ("alice", "bob"):
        await repository.add_user(name, Credential("$argon2id$one", "v1"), by=OPERATOR)
    async with api_server(repository) as api:
        yield PeepctlBesideApi(api, tmp_path)


async def listed(peepctl: PeepctlBesideApi, *options: str) -> list[str]:
    rows = (await peepctl.output("refusals", "list", *options)).splitlines()[1:]
    return [" ".join(row.split()[:-1]) for row in rows]


async def test_users_are_suspended_and_networks_banned_listed_and_lifted(
    peepctl: PeepctlBesideApi, repository: StateRepository
) -> None:
    assert "peepctl users list --refused 1d" in await peepctl.output("refusals", "list")
    until = ("--until", "2097-03-01T12:00+00:00")
    suspended = await peepctl.output("refusals", "suspend", "alice", "bob", "--reason", "not paid", *until)
    assert suspended == "suspended alice\nsuspended bob\n"
    assert "until 2097-03-01 12:00 UTC: not paid" in await peepctl.output("users", "show", "alice")
    banned = await peepctl.output(
        "refusals", "ban", "198.51.100.0/24", "2001:DB8::/32", "--reason", "guesses"
    )
    assert banned == "banned 198.51.100.0/24\nbanned 2001:db8::/32\n"
    exempted = await peepctl.output("refusals", "exempt", "203.0.113.9")
    assert exempted == "exempted 203.0.113.9\n"
    await use_up(repository, "user carol", "192.0.2.9")
    rows = await listed(peepctl)
    assert rows[:-1] == [
        "ban 198.51.100.0/24 - root guesses",
        "ban 2001:db8::/32 - root guesses",
        "exempt 203.0.113.9 - root -",
        "suspend alice 2097-03-01 12:00 UTC root not paid",
        "suspend bob 2097-03-01 12:00 UTC root not paid",
    ]
    assert rows[-1].startswith("slow-down anybody from 192.0.2.9 ")
    assert await listed(peepctl, "--kind", "ban", "--text", "2001") == [rows[1]]
    for target, what in (
        ("alice", "suspension of alice"),
        ("198.51.100.0/24", "ban of 198.51.100.0/24"),
        ("192.0.2.9", "slow-down of anybody from 192.0.2.9"),
    ):
        assert await peepctl.output("refusals", "lift", target) == f"lifted the {what}\n"
    found = json.loads(await peepctl.output("refusals", "list", "--json"))
    assert found["slow_downs"] == []
    assert [one["subject"] for one in found["refusals"]] == ["2001:db8::/32", "203.0.113.9", "bob"]
    by_id = await peepctl.output("refusals", "lift", found["refusals"][2]["id"])
    assert by_id == "lifted the suspension of bob\n"
    gone = await peepctl.run("refusals", "lift", "bob")
    assert (gone.code, gone.stdout) == (1, "")
    assert "there is no refusal of bob" in gone.stderr


async def test_what_cannot_be_done_is_said_and_the_rest_is_done(peepctl: PeepctlBesideApi) -> None:
    result = await peepctl.run("refusals", "suspend", "alice", "nobody")
    assert (result.code, result.stdout) == (1, "suspended alice\n")
    assert "nothing was changed for nobody" in result.stderr
    assert "No POP3 user has this name" in result.stderr
    for options, why in (
        (("suspend", "bob", "--until", "2020-01-01"), "must be in the future"),
        (("suspend", "bob", "--until", "soon"), "or 90m, 2h, 7d from now"),
        (("suspend", "bob", "--reason", "\u202ex"), "printable ASCII"),
        (("ban", "198.51.100.7/24"), "198.51.100.0/24 would be the network"),
        (("ban", "198.51.100.0/24", "--until", "2020-01-01"), "its end is in the past"),
    ):
        result = await peepctl.run("refusals", *options)
        assert result.code in (1, 2), result
        assert why in result.stderr
    assert await listed(peepctl) == ["suspend alice - root -"]


async def test_a_ban_of_oneself_or_of_everybody_is_a_question(peepctl: PeepctlBesideApi) -> None:
    for network, why in (("127.0.0.0/8", "127.0.0.1"), ("0.0.0.0/0", "concerns everybody")):
        asked = await peepctl.run("refusals", "ban", network)
        assert (asked.code, asked.stdout) == (1, "")
        assert why in asked.stderr
        assert "--yes" in asked.stderr
    assert await listed(peepctl) == []
    assert await peepctl.output("refusals", "ban", "0.0.0.0/0", "--yes") == "banned 0.0.0.0/0\n"
    # An exemption of the same network: the target alone does not say which one is meant.
    asked = await peepctl.run("refusals", "exempt", "0.0.0.0/0")
    assert (asked.code, asked.stdout) == (1, "")
    assert "this exemption holds everybody" in asked.stderr
    await peepctl.output("refusals", "exempt", "0.0.0.0/0", "--yes")
    result = await peepctl.run("refusals", "lift", "0.0.0.0/0")
    assert result.code == 2
    assert "several refusals of" in result.stderr
    await peepctl.output("refusals", "lift", "0.0.0.0/0", "--kind", "ban")
    assert await listed(peepctl) == ["exempt 0.0.0.0/0 - root -"]


async def test_the_help_desk_suspends_and_lifts_that_and_bans_nobody(
    peepctl: PeepctlBesideApi, repository: StateRepository
) -> None:
    await repository.add_administrator("desk", Role.HELPDESK, administrator_hash(), by=OPERATOR)
    as_desk = {"PEEPCTL_USER": "desk"}
    await peepctl.output("refusals", "suspend", "alice", **as_desk)
    await peepctl.output("refusals", "lift", "alice", **as_desk)
    refused = await peepctl.run("refusals", "ban", "198.51.100.7", **as_desk)
    assert refused.code == 1
    assert "needs the role all" in refused.stderr


async def test_a_pop3_process_that_has_not_taken_note_is_told_of(
    peepctl: PeepctlBesideApi, repository: StateRepository
) -> None:
    await repository.register_instance(instance())
    with no_patience_with_instances():
        result = await peepctl.run("refusals", "suspend", "alice")
    assert (result.code, result.stdout) == (0, "suspended alice\n")
    assert "it will apply this once it does" in result.stderr


async def test_a_pop3_service_that_knows_no_refusals_is_named(
    peepctl: PeepctlBesideApi, repository: StateRepository
) -> None:
    await repository.register_instance(replace(instance(), host="mail-1", version="0.0.9", knows_refusals=0))
    warning = "the POP3 service of mail-1 (version 0.0.9) knows no refusals and lets everybody in: upgrade it"
    for arguments in (("suspend", "alice", "bob"), ("ban", "192.0.2.7", "192.0.2.8")):
        with no_patience_with_instances():
            result = await peepctl.run("refusals", *arguments)
        assert (result.code, result.stdout.count("\n")) == (0, 2)
        assert result.stderr == f"peepctl: {warning}\n"


async def test_thousands_are_listed_page_by_page(
    peepctl: PeepctlBesideApi, repository: StateRepository
) -> None:
    bans = [NewRefusal(RefusalKind.BAN, f"10.0.{one // 256}.{one % 256}") for one in range(2_100)]
    await repository.refuse(bans, by=OPERATOR)
    found = json.loads(await peepctl.output("refusals", "list", "--json"))["refusals"]
    assert len({one["subject"] for one in found}) == 2_100


async def test_suspended_users_are_exported_locked_and_imported_nowhere(peepctl: PeepctlBesideApi) -> None:
    await peepctl.output("refusals", "suspend", "alice")
    exported = await peepctl.output("users", "export", "-")
    assert exported.splitlines() == ["alice:{ARGON2ID}!$argon2id$one", "bob:{ARGON2ID}$argon2id$one"]
    imported = await peepctl.run("users", "import", "-", "--format", "passwd-file", given=exported)
    (line,) = [line for line in imported.stdout.splitlines() if " alice " in line]
    assert "the account is locked" in line
