"""CORS of state-api: off by default, and for named origins only."""

import httpx
import pytest

from support.api_client import api_client, problem

OURS = "https://ops.example.org"
THEIRS = "https://evil.example.org"


def preflight(origin: str, method: str = "PATCH", headers: str = "authorization, if-match") -> dict[str, str]:
    """Return the headers of a browser's question."""
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }


def cross_origin_headers(response: httpx.Response) -> set[str]:
    """Return which headers of CORS an answer has."""
    return {name for name in response.headers if name.startswith("access-control-")}


async def test_without_the_setting_no_answer_says_anything_of_origins() -> None:
    async with api_client() as client:
        asked = await client.options("/v1/settings", headers=preflight(OURS))
        problem(asked, 405)
        answered = await client.get("/v1/settings", headers={"Origin": OURS})
    assert answered.status_code == 200
    assert cross_origin_headers(asked) | cross_origin_headers(answered) == set()


async def test_a_page_of_a_named_origin_may_ask_and_read_our_headers() -> None:
    async with api_client(cors_origins=[OURS]) as client:
        asked = await client.options("/v1/settings", headers=preflight(OURS))
        answered = await client.get("/v1/settings", headers={"Origin": OURS})
    assert asked.status_code == 200
    assert "PATCH" in asked.headers["access-control-allow-methods"]
    assert {"authorization", "if-match", "x-csrf-token"} <= {
        name.strip().lower() for name in asked.headers["access-control-allow-headers"].split(",")
    }
    for response in (asked, answered):
        assert response.headers["access-control-allow-origin"] == OURS
        assert response.headers["access-control-allow-credentials"] == "true"
    assert "ETag" in answered.headers["access-control-expose-headers"]
    assert "Origin" in answered.headers["vary"]
    assert answered.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("origin", [THEIRS, "null", OURS + ".evil.example", OURS.replace("https", "http")])
async def test_any_other_origin_is_refused_and_cannot_read_the_answer(origin: str) -> None:
    async with api_client(cors_origins=[OURS]) as client:
        asked = await client.options("/v1/settings", headers=preflight(origin))
        answered = await client.get("/v1/settings", headers={"Origin": origin})
    problem(asked, 403, "/docs#cross-origin-refused")
    for response in (asked, answered):
        assert "access-control-allow-origin" not in response.headers
        assert "Origin" in response.headers["vary"]


async def test_a_method_or_header_that_we_do_not_know_is_refused() -> None:
    async with api_client(cors_origins=[OURS]) as client:
        for question in (preflight(OURS, method="BREW"), preflight(OURS, headers="x-anything")):
            problem(await client.options("/v1/settings", headers=question), 403, "/docs#cross-origin-refused")


async def test_a_problem_can_be_read_by_a_page_of_a_named_origin() -> None:
    async with api_client(cors_origins=[OURS], auth=None) as client:
        response = await client.get("/v1/settings", headers={"Origin": OURS})
    problem(response, 401, "/docs#unauthenticated")
    assert response.headers["access-control-allow-origin"] == OURS
