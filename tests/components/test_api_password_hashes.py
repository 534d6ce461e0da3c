"""Other servers' password hashes over HTTP: given, counted, handed out; many users in one request."""

import json

import httpx
import pytest
from structlog.testing import capture_logs

from state_store.credentials.hashes.imported import PLAIN
from state_store.records import HashCounts
from state_store.repository import StateRepository
from support.api_client import api_client, failed_fields, is_password, problem, sign_in
from support.foreign_hashes import PASSWORD, WEAK, ForeignHash, one_of_each_scheme

BY_SCHEME = {made.scheme: made for made in one_of_each_scheme()}
SSHA = BY_SCHEME["SSHA"].text
BCRYPT = BY_SCHEME["BLF-CRYPT"].text


async def scheme_counts(client: httpx.AsyncClient) -> dict[str, int]:
    answer = (await client.get("/v1/password-schemes")).json()
    counts = {one["scheme"]: one["users"] for one in answer["schemes"]}
    assert answer["imported"] == sum(counts.values())
    return counts


@pytest.mark.parametrize("made", BY_SCHEME.values(), ids=str)
async def test_user_is_added_with_a_hash_of_any_scheme(
    repository: StateRepository, made: ForeignHash
) -> None:
    user = {"username": "alice", "password_hash": made.text}
    async with api_client(repository) as client:
        if made.scheme in WEAK:
            refused = await client.post("/v1/users", json=user)
            assert "--allow-weak" in failed_fields(refused)["password_hash"]
        added = await client.post("/v1/users", json={**user, "allow_weak": made.scheme in WEAK})
        assert (added.status_code, added.json()) == (201, {"username": "alice"})
        assert await scheme_counts(client) == ({} if made.scheme == PLAIN else {made.scheme: 1})
    assert await is_password(repository, "alice", PASSWORD)
    assert not await is_password(repository, "alice", "x" + PASSWORD)


async def test_password_is_replaced_by_a_hash_and_by_a_password_again(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        await client.post("/v1/users", json={"username": "alice", "password": "first"})
        for body, now in (({"password_hash": SSHA}, PASSWORD), ({"password": "third"}, "third")):
            changed = await client.put("/v1/users/alice/password", json=body)
            assert changed.status_code == 204
            assert await is_password(repository, "alice", now)
        unknown = await client.put("/v1/users/ghost/password", json={"password_hash": SSHA})
        problem(unknown, 404, "/docs#unknown-user")
        assert await scheme_counts(client) == {}


@pytest.mark.parametrize(
    "body",
    [
        {"password_hash": "secret"},
        {"password_hash": "$6$rounds=999999999$salt$" + "a" * 86},
        {"password_hash": 71717171},
        {"password_hash": None},
        {"password_hash": BY_SCHEME["DES-CRYPT"].text},
    ],
)
async def test_hash_that_cannot_be_used_is_named_and_never_echoed(
    repository: StateRepository, body: dict[str, object]
) -> None:
    async with api_client(repository) as client:
        for response in (
            await client.post("/v1/users", json={"username": "alice", **body}),
            await client.put("/v1/users/alice/password", json=body),
        ):
            assert set(failed_fields(response)) == {"password_hash"}
            assert str(body["password_hash"])[-8:] not in response.text.replace("None", "")
    assert await repository.usernames() == []


async def test_password_and_hash_together_are_refused(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        both = {"username": "alice", "password": "secret", "password_hash": SSHA}
        assert failed_fields(await client.post("/v1/users", json=both)) == {
            "password": "is no field of this request"
        }


# Many users


async def test_each_of_many_users_has_an_outcome_of_its_own(repository: StateRepository) -> None:
    users = [
        {"username": "alice", "password_hash": SSHA},
        {"username": "bob", "password": "secret"},
        {"username": "alice", "password_hash": BCRYPT},
        {"username": "a/b", "password_hash": SSHA},
        {"username": "carol", "password_hash": "{CRAM-MD5}00"},
        {"username": "dave", "password_hash": BY_SCHEME["SHA"].text},
        {"username": "erin"},
        {"username": "frank", "password": "secret", "password_hash": SSHA},
        {"username": "grace", "password": "bell\a"},
        {"username": "x" * 129, "password": "secret"},
        {"username": "heidi", "password_hash": "x" * 513},
    ]
    async with api_client(repository) as client:
        response = await client.post("/v1/users", json={"users": users})
        assert response.status_code == 200
        results = response.json()["results"]
        assert await scheme_counts(client) == {"SSHA": 1}
    assert [one["username"] for one in results] == [user["username"] for user in users]
    assert [one["outcome"] for one in results] == ["added", "added", "exists", *["refused"] * 8]
    reasons = [one["reason"] for one in results]
    assert reasons[:3] == [None] * 3
    beginnings = [
        "username: must be",
        "password_hash: its scheme is not known",
        "password_hash: SHA is weak",
        "password: is required",
        "password: is no field",
        "password: must not contain a control character",
        "username: must be",
        "password_hash: a hash has at most 512",
    ]
    for reason, beginning in zip(reasons[3:], beginnings, strict=True):
        assert reason.startswith(beginning)
    assert await repository.usernames() == ["alice", "bob"]
    assert await is_password(repository, "bob", "secret")


async def test_many_users_are_updated_on_demand_only(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        await client.post("/v1/users", json={"username": "alice", "password": "first"})
        users = [{"username": name, "password_hash": SSHA} for name in ("alice", "bob")]
        for options, outcomes, right in (
            ({"update": True, "dry_run": True}, ["updated", "added"], "first"),
            ({"dry_run": True}, ["exists", "added"], "first"),
            ({}, ["exists", "added"], "first"),
            ({"update": True}, ["updated", "updated"], PASSWORD),
        ):
            response = await client.post("/v1/users", json={"users": users, **options})
            assert [one["outcome"] for one in response.json()["results"]] == outcomes
            assert await is_password(repository, "alice", right)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"users": []}, "users"),
        ({"users": [{"password_hash": SSHA}]}, "users.0.username"),
        ({"users": [{"username": "alice", "password": "x", "role": "y"}]}, "users.0.role"),
        ({"users": "alice"}, "users"),
        ({"users": [], "username": "alice"}, "username"),
        ({"users": [{"username": "alice", "password": "x"}], "update": "yes"}, "update"),
    ],
)
async def test_request_for_many_users_that_is_no_such_request_is_refused(
    repository: StateRepository, body: dict[str, object], field: str
) -> None:
    async with api_client(repository) as client:
        assert field in failed_fields(await client.post("/v1/users", json=body))
    assert await repository.usernames() == []


async def test_many_users_are_added_or_none_where_an_answer_could_not_name_one(
    repository: StateRepository,
) -> None:
    users = [{"username": "alice", "password": "x"}, {"username": "\ud800", "password": "x"}]
    async with api_client(repository) as client:
        body, headers = json.dumps({"users": users}), {"Content-Type": "application/json"}
        refused = failed_fields(await client.post("/v1/users", content=body, headers=headers))
    assert refused == {"users.1.username": "must be text that UTF-8 can carry"}
    assert await repository.usernames() == []


async def test_many_users_are_logged_as_counts_without_hashes(repository: StateRepository) -> None:
    users = [{"username": "alice", "password_hash": SSHA}, {"username": "bob", "password_hash": "x"}]
    with capture_logs() as events:
        async with api_client(repository) as client:
            await client.post("/v1/users", json={"users": users})
            await client.post("/v1/users", json={"users": users, "dry_run": True})
    (event,) = [one for one in events if one["event"] == "many users added"]
    assert (event["administrator"], event["added"], event["refused"]) == ("root", 1, 1)
    assert SSHA[-12:] not in json.dumps(events, default=str)


# Handing out


async def test_hashes_that_are_handed_out_make_the_same_users_elsewhere(
    repository: StateRepository,
) -> None:
    users = [
        {"username": made.scheme, "password_hash": made.text}
        for made in BY_SCHEME.values()
        if made.scheme != PLAIN
    ]
    async with api_client(repository) as client:
        await client.post("/v1/users", json={"users": users, "allow_weak": True})
        await client.post("/v1/users", json={"username": "own", "password": PASSWORD})
        before = await repository.hash_counts()
        handed_out, url = [], "/v1/password-hashes?limit=7"
        while url:
            page = (await client.get(url)).json()
            handed_out += page["users"]
            url = page["next"] and f"/v1/password-hashes?limit=7&after={page['next']}"
        for user in handed_out:
            await client.delete(f"/v1/users/{user['username']}")
        assert await repository.hash_counts() == HashCounts(0)
        await client.post("/v1/users", json={"users": handed_out, "allow_weak": True})
    assert [user["username"] for user in handed_out] == sorted([*BY_SCHEME.keys() - {PLAIN}, "own"])
    assert await repository.hash_counts() == before
    for user in handed_out:
        assert await is_password(repository, user["username"], PASSWORD)
    own = await repository.credential("own")
    assert own is not None
    assert own.scram_verifier


async def test_hashes_are_handed_out_to_basic_only_and_logged(repository: StateRepository) -> None:
    async with api_client(repository, auth=None) as client:
        problem(await client.get("/v1/password-hashes"), 401, "/docs#unauthenticated")
        await sign_in(client)
        assert (await client.get("/v1/password-schemes")).status_code == 200
        problem(await client.get("/v1/password-hashes"), 401, "/docs#unauthenticated")
    with capture_logs() as events:
        async with api_client(repository) as client:
            assert (await client.get("/v1/password-hashes")).json() == {"users": [], "next": None}
    assert {
        name: one[name]
        for one in events
        if one["event"] == "password hashes shown"
        for name in ("administrator", "users")
    } == {"administrator": "root", "users": 0}
