"""The dashboard's sign-in: what its cookie is worth, where it comes from, and for how long."""

import hashlib
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import redis
from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from structlog.testing import capture_logs

from state_api.sign_in import COOKIE, LASTS_SECONDS
from state_store.credentials.attempts import Attempt, Decision, Verdict
from state_store.redis import keys
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_client import (
    ADMINISTRATOR,
    ADMINISTRATOR_PASSWORD,
    BASIC,
    administrator_hash,
    api_client,
    failed_fields,
    passwords,
    problem,
    sign_in,
)

RIGHT = {"name": ADMINISTRATOR, "password": ADMINISTRATOR_PASSWORD}
WRONG = {"name": ADMINISTRATOR, "password": "wrong"}
USER = {"username": "alice", "password": "secret"}


@pytest.fixture
async def page(repository: StateRepository) -> AsyncIterator[httpx.AsyncClient]:
    """Give a browser's requests before anybody has signed in."""
    async with api_client(repository, auth=None) as client:
        yield client


async def test_who_is_signed_in_may_look_and_change(page: httpx.AsyncClient) -> None:
    token = await sign_in(page)
    assert (await page.get("/v1/counters")).status_code == 200
    added = await page.post("/v1/users", json=USER, headers={"X-CSRF-Token": token})
    assert added.status_code == 201


async def test_a_page_loaded_anew_learns_who_is_signed_in(page: httpx.AsyncClient) -> None:
    token = await sign_in(page)
    response = await page.get("/session")
    assert response.json() == {"administrator": ADMINISTRATOR, "role": "all", "csrf_token": token}
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("origin", "is_secure"), [(None, False), ("http://peep", False), ("https://peep", True)]
)
async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    page: httpx.AsyncClient, origin: str | None, is_secure: bool
) -> None:
    headers = {"Origin": origin} if origin else {}
    flags = (await page.post("/session", json=RIGHT, headers=headers)).headers["set-cookie"].split("; ")
    assert flags[0].startswith(f"{COOKIE}=")
    assert set(flags[1:]) == {"HttpOnly", "Path=/", "SameSite=strict"} | ({"Secure"} if is_secure else set())


async def test_a_wrong_password_is_refused_without_the_browsers_dialogue(page: httpx.AsyncClient) -> None:
    with capture_logs() as events:
        response = await page.post("/session", json=WRONG)
    problem(response, 401, "/docs#wrong-password")
    assert not response.headers["www-authenticate"].startswith("Basic")
    assert COOKIE not in response.cookies
    assert [event["address"] for event in events if event["event"] == "administrator refused"] == [
        "192.0.2.1"
    ]
    assert ADMINISTRATOR not in repr(events)


async def test_wrong_passwords_of_the_form_and_of_basic_count_together(
    page: httpx.AsyncClient, repository: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []

    async def begin_attempt(attempt: Attempt, **_: object) -> Decision:
        seen.append((attempt.subject, attempt.network))
        return Decision(Verdict.GO, from_network=True)

    monkeypatch.setattr(repository, "begin_attempt", begin_attempt)
    await page.get("/v1/counters", auth=httpx.BasicAuth(ADMINISTRATOR, "wrong"))
    problem(await page.post("/session", json=WRONG), 401, "/docs#wrong-password")
    assert seen == [(f"administrator {ADMINISTRATOR}", "192.0.2.1")] * 2


@pytest.mark.parametrize("body", [{}, {"name": "root"}, {**RIGHT, "more": 1}, {**RIGHT, "name": 5}])
async def test_an_incomplete_form_says_what_is_missing(
    page: httpx.AsyncClient, body: dict[str, object]
) -> None:
    assert failed_fields(await page.post("/session", json=body))


async def test_half_a_surrogate_pair_is_no_password(page: httpx.AsyncClient) -> None:
    body = b'{"name": "root", "password": "\\ud800"}'
    response = await page.post("/session", content=body, headers={"Content-Type": "application/json"})
    assert failed_fields(response) == {"password": "must be text that UTF-8 can carry"}


# Not the last character: two of its bits carry nothing, and another may say the same.
@pytest.mark.parametrize("place", [0, 5, 40, -2])
async def test_a_tampered_cookie_is_worth_nothing(page: httpx.AsyncClient, place: int) -> None:
    await sign_in(page)
    cookie = list(page.cookies[COOKIE])
    cookie[place] = "A" if cookie[place] != "A" else "B"
    page.cookies.clear()
    page.cookies.set(COOKIE, "".join(cookie))
    problem(await page.get("/v1/counters"), 401, "/docs#signed-out")
    problem(await page.get("/session"), 401, "/docs#signed-out")


@pytest.mark.parametrize("cookie", ["x", "a.b.c", '""', "." * 2000])
async def test_a_made_up_cookie_is_worth_nothing(page: httpx.AsyncClient, cookie: str) -> None:
    page.cookies.set(COOKIE, cookie)
    problem(await page.get("/v1/counters"), 401, "/docs#signed-out")


async def test_another_deployments_cookie_is_worth_nothing(
    redis_url: str, page: httpx.AsyncClient, behind_the_scenes: redis.Redis
) -> None:
    other = StateRepository(redis_url)
    async with api_client(other, auth=None) as elsewhere:
        await sign_in(elsewhere)
        behind_the_scenes.delete(keys.SECRET)
        page.cookies.set(COOKIE, elsewhere.cookies[COOKIE])
    await other.close()
    problem(await page.get("/v1/counters"), 401, "/docs#signed-out")


@pytest.mark.parametrize(("age", "status"), [(LASTS_SECONDS - 60, 200), (LASTS_SECONDS + 60, 401)])
async def test_a_sign_in_lasts_twelve_hours(
    page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, age: int, status: int
) -> None:
    with monkeypatch.context() as then:
        then.setattr(TimestampSigner, "get_timestamp", lambda _: int(time.time()) - age)
        await sign_in(page)
    assert (await page.get("/v1/counters")).status_code == status


async def test_a_changed_password_ends_the_sign_in_at_once(
    page: httpx.AsyncClient, repository: StateRepository
) -> None:
    await sign_in(page)
    await repository.replace_administrators(
        {ADMINISTRATOR: await passwords().new_hash("another")}, by=OPERATOR
    )
    problem(await page.get("/v1/counters"), 401, "/docs#signed-out")


async def test_a_removed_administrator_is_signed_out_at_once(
    page: httpx.AsyncClient, repository: StateRepository
) -> None:
    await sign_in(page)
    await repository.replace_administrators({"other": administrator_hash()}, by=OPERATOR)
    problem(await page.get("/v1/counters"), 401, "/docs#signed-out")


async def test_a_cookie_of_one_replica_is_good_at_another(
    page: httpx.AsyncClient, repository: StateRepository
) -> None:
    token = await sign_in(page)
    async with api_client(repository, auth=None) as replica:
        replica.cookies.set(COOKIE, page.cookies[COOKIE])
        changed = await replica.delete("/v1/users/nobody", headers={"X-CSRF-Token": token})
    problem(changed, 404, "/docs#unknown-user")


@pytest.mark.parametrize("token", [None, "", "x", "\u00e4"])
async def test_a_change_without_the_token_is_refused(page: httpx.AsyncClient, token: str | None) -> None:
    await sign_in(page)
    headers = [] if token is None else [(b"X-CSRF-Token", token.encode("latin-1"))]
    problem(await page.post("/v1/users", json=USER, headers=headers), 403, "/docs#foreign-request")
    problem(await page.delete("/session", headers=headers), 403, "/docs#foreign-request")


async def test_the_token_of_another_sign_in_is_refused(
    page: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as then:
        then.setattr(TimestampSigner, "get_timestamp", lambda _: int(time.time()) - 60)
        earlier = await sign_in(page)
    await sign_in(page)
    response = await page.post("/v1/users", json=USER, headers={"X-CSRF-Token": earlier})
    problem(response, 403, "/docs#foreign-request")


@pytest.mark.parametrize(
    ("headers", "is_foreign"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "http://peep"}, False),
        ({"Origin": "https://peep"}, False),
        ({"Origin": "http://elsewhere"}, True),
        ({"Origin": "http://peep:8080"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "http://[::1"}, True),
        ({"Origin": "http://rewritten", "Sec-Fetch-Site": "same-origin"}, False),
    ],
)
async def test_what_a_browser_says_about_the_senders_site_is_heeded(
    page: httpx.AsyncClient, headers: dict[str, str], is_foreign: bool
) -> None:
    token = await sign_in(page)
    changed = await page.post("/v1/users", json=USER, headers={**headers, "X-CSRF-Token": token})
    signed_in = await page.post("/session", json=RIGHT, headers=headers)
    assert (changed.status_code, signed_in.status_code) == ((403, 403) if is_foreign else (201, 200))


async def test_a_password_that_a_browser_keeps_for_us_is_no_use_to_another_site(
    repository: StateRepository,
) -> None:
    async with api_client(repository) as client:
        undo = "/v1/audit/1764233674002-0/undo"  # a form of any site can send it: it needs no body
        foreign = await client.post(undo, headers={"Sec-Fetch-Site": "cross-site"})
        problem(foreign, 403, "/docs#foreign-request")
        problem(await client.post(undo), 404, "/docs#unknown-act")


async def test_a_rewritten_host_is_told_with_what_the_proxy_has_to_do(page: httpx.AsyncClient) -> None:
    response = await page.post("/session", json=RIGHT, headers={"Origin": "http://mail.example.org"})
    detail = problem(response, 403, "/docs#host-rewritten")["detail"]
    assert "proxy_set_header Host $http_host;" in detail
    assert COOKIE not in response.cookies
    for headers in ({"Origin": "null"}, {"Origin": "http://peep", "Sec-Fetch-Site": "cross-site"}):
        refused = await page.post("/session", json=RIGHT, headers=headers)
        problem(refused, 403, "/docs#foreign-request")


async def test_signing_out_takes_the_cookie_away(page: httpx.AsyncClient) -> None:
    token = await sign_in(page)
    assert (await page.delete("/session", headers={"X-CSRF-Token": token})).status_code == 204
    assert COOKIE not in page.cookies
    problem(await page.get("/v1/counters"), 401, "/docs#unauthenticated")
    assert (await page.delete("/session")).status_code == 204


async def test_a_copied_cookie_is_worth_nothing_after_signing_out_and_another_sign_in_goes_on(
    page: httpx.AsyncClient, repository: StateRepository
) -> None:
    token = await sign_in(page)
    copy = page.cookies[COOKIE]
    async with api_client(repository, auth=None) as elsewhere, api_client(repository, auth=None) as thief:
        await sign_in(elsewhere)
        thief.cookies.set(COOKIE, copy)
        assert (await thief.get("/v1/counters")).status_code == 200
        assert (await page.delete("/session", headers={"X-CSRF-Token": token})).status_code == 204
        problem(await thief.get("/v1/counters"), 401, "/docs#signed-out")
        changed = await thief.post("/v1/users", json=USER, headers={"X-CSRF-Token": token})
        problem(changed, 401, "/docs#signed-out")
        assert (await elsewhere.get("/v1/counters")).status_code == 200


async def test_a_cookie_of_an_earlier_version_asks_to_sign_in_again(
    page: httpx.AsyncClient, repository: StateRepository
) -> None:
    signer = URLSafeTimedSerializer(
        await repository.deployment_secret(),
        salt="peep dashboard cookie",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
    await sign_in(page)
    page.cookies.clear()
    page.cookies.set(COOKIE, str(signer.dumps([ADMINISTRATOR, "fingerprint"])))
    problem(await page.get("/v1/counters"), 401, "/docs#signed-out")


async def test_basic_decides_where_both_are_there(page: httpx.AsyncClient) -> None:
    token = await sign_in(page)
    wrong = httpx.BasicAuth(ADMINISTRATOR, "wrong")
    problem(
        await page.get("/v1/counters", auth=wrong, headers={"X-CSRF-Token": token}), 401, "/docs#signed-out"
    )
    # No token is asked for: another site could not send this header.
    assert (await page.post("/v1/users", json=USER, auth=BASIC)).status_code == 201


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        ({}, "Basic"),
        ({"Sec-Fetch-Mode": "navigate"}, "Basic"),
        ({"Sec-Fetch-Mode": "cors"}, "Cookie"),
        ({"Sec-Fetch-Mode": "same-origin"}, "Cookie"),
        ({"X-CSRF-Token": ""}, "Cookie"),
        ({"Cookie": f"{COOKIE}=outdated"}, "Cookie"),
        ({"Cookie": f"{COOKIE}=x", "Authorization": "Basic !!!"}, "Cookie"),
    ],
)
async def test_only_what_is_not_the_page_is_asked_for_basic(
    page: httpx.AsyncClient, headers: dict[str, str], scheme: str
) -> None:
    response = await page.get("/v1/counters", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].split()[0] == scheme


async def test_the_cookie_names_its_administrator_in_the_log(page: httpx.AsyncClient) -> None:
    await sign_in(page)
    with capture_logs() as events:
        await page.get("/v1/counters")
    assert [event["administrator"] for event in events if event["event"] == "request"] == [ADMINISTRATOR]


async def test_no_answer_lets_a_page_of_another_origin_read_it(repository: StateRepository) -> None:
    asks = {"Origin": "https://ops.example.org", "Access-Control-Request-Method": "PATCH"}
    async with api_client(repository) as client:
        asked = await client.options("/v1/settings", headers=asks)
        answered = await client.get("/v1/settings", headers=asks)
    problem(asked, 405)
    assert answered.status_code == 200
    assert not [name for name in (*asked.headers, *answered.headers) if name.startswith("access-control-")]
