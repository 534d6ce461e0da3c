"""Errors, limits, request ids and the request log of state-api."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
import structlog
from fastapi.routing import APIRoute
from structlog.testing import capture_logs

from state_store.records import Counters, Credential
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_client import ADMINISTRATOR_PASSWORD, api_client, failed_fields, problem, sign_in

JSON = {"Content-Type": "application/json"}
PAGE = {"/", "/dashboard/{path:path}"}


@pytest.mark.parametrize("path", ["/v1", "/v1/nothing", "/v1/users/", "/docs/", "/v1/..%2f"])
async def test_an_unknown_path_is_a_problem(repository: StateRepository, path: str) -> None:
    async with api_client(repository) as client:
        problem(await client.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/session", "DELETE, GET, HEAD, POST"),
        ("POST", "/", "GET, HEAD"),
        ("PUT", "/v1/users", "GET, HEAD, POST"),
        ("POST", "/v1/settings", "GET, HEAD, PATCH"),
        ("PATCH", "/v1/users/alice", "DELETE, GET, HEAD"),
        ("GET", "/v1/users/alice/password", "PUT"),
        ("POST", "/livez", "GET, HEAD"),
        ("BREW", "/v1/counters", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_a_problem_that_lists_all_right_ones(
    repository: StateRepository, method: str, path: str, allowed: str
) -> None:
    async with api_client(repository) as client:
        response = await client.request(method, path)
    problem(response, 405)
    assert response.headers["allow"] == allowed


async def test_head_is_answered_as_get(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        assert (await client.head("/livez")).status_code == 200
        assert (await client.head("/v1/nothing")).status_code == 404


async def test_a_bug_answers_fixed_text_and_logs_the_stack(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> Counters:
        raise RuntimeError("the secret detail")

    monkeypatch.setattr(repository, "counters", fail)
    async with api_client(repository) as client:
        with capture_logs() as events:
            response = await client.get("/v1/counters")
    document = problem(response, 500)
    assert "secret" not in response.text
    assert "Error" not in document["detail"]
    failed = next(event for event in events if event["event"] == "request failed")
    assert "RuntimeError: the secret detail" in failed["exception"]
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"no json",
        b"[]",
        b'"text"',
        b"\xff\xfe{}",
        b'{"\\ud800": 1}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 30000 + b"]" * 30000,
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(repository: StateRepository, body: bytes) -> None:
    async with api_client(repository) as client:
        fields = failed_fields(await client.patch("/v1/settings", content=body, headers=JSON))
    assert len(fields) == 1


async def test_a_body_without_the_content_type_of_json_is_refused_with_advice(
    repository: StateRepository,
) -> None:
    async with api_client(repository) as client:
        response = await client.patch("/v1/settings", content=b'{"timeout_seconds": 500}')
    assert "Content-Type: application/json" in failed_fields(response)["body"]


async def test_many_unknown_fields_with_long_names_make_a_small_answer(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        body = {f"{number}{'x' * 500}": 1 for number in range(100)}
        response = await client.patch("/v1/settings", json=body)
    assert len(failed_fields(response)) == 10
    assert len(response.content) < 4096


async def test_a_body_of_64_kib_is_read_and_a_larger_one_refused(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        padding = b" " * (64 * 1024 - 24)
        largest = b'{"timeout_seconds": 500}' + padding
        assert (await client.patch("/v1/settings", content=largest, headers=JSON)).status_code == 200
        problem(await client.patch("/v1/settings", content=largest + b" ", headers=JSON), 413)


async def test_a_large_body_that_does_not_announce_its_length_is_refused(repository: StateRepository) -> None:
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(1000):
            read += 1
            yield b" " * 1024

    async with api_client(repository) as client:
        problem(await client.patch("/v1/settings", content=chunks(), headers=JSON), 413)
    assert read == 65


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 64])
async def test_a_well_formed_request_id_is_taken_over_and_logged(
    repository: StateRepository, given: str
) -> None:
    async with api_client(repository) as client:
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as events:
            response = await client.get("/v1/counters", headers={"X-Request-ID": given})
    assert response.headers["x-request-id"] == given
    assert [event["request_id"] for event in events] == [given]


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "\u00e4", "<script>"])
async def test_any_other_request_id_is_replaced(repository: StateRepository, given: str) -> None:
    async with api_client(repository) as client:
        response = await client.get("/livez", headers=[(b"X-Request-ID", given.encode("latin-1"))])
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


async def test_a_request_is_logged_once_with_its_administrator_and_without_its_secrets(
    repository: StateRepository,
) -> None:
    async with api_client(repository) as client:
        with capture_logs() as events:
            await client.get("/v1/users?limit=5&after=hidden")
    (event,) = events
    assert (event["method"], event["path"], event["status"]) == ("GET", "/v1/users", 200)
    assert (event["administrator"], event["address"]) == ("root", "192.0.2.1")
    assert event["milliseconds"] >= 0
    assert "hidden" not in repr(event)
    assert ADMINISTRATOR_PASSWORD not in repr(event)


async def test_a_path_cannot_break_a_line_of_the_log(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        with capture_logs() as events:
            await client.get("/v1/a%0D%0Aforged%1B[2J")
    assert events[0]["path"].isprintable()


async def test_a_parameter_that_a_request_does_not_take_is_refused_by_every_route(
    repository: StateRepository,
) -> None:
    async with api_client(repository) as client, api_client(repository, auth=None) as stranger:
        transport = client._transport
        assert isinstance(transport, httpx.ASGITransport)
        found: list[APIRoute] = transport.app.state.routes  # type: ignore[attr-defined]
        routes = [route for route in found if route.path not in PAGE]
        for route in routes:
            path = re.sub("{[^}]*}", "x", route.path)
            for method in route.methods or ():
                response = await client.request(method, f"{path}?limti=5", json={})
                assert "is no parameter of this request" in failed_fields(response)["limti"], path
                if path.startswith("/v1/"):
                    problem(await stranger.request(method, f"{path}?limti=5"), 401, "/docs#unauthenticated")
        known = failed_fields(await client.get("/v1/password-hashes?limti=5&limit=7&<b>=1"))
        assert known == dict.fromkeys(
            ("limti", "<b>"), "is no parameter of this request: it takes limit, after"
        )
        assert "from, to, step" in failed_fields(await client.get("/v1/history?x"))["x"]
        twice = failed_fields(await client.delete("/v1/sessions?username=alice&username=bob&limti=1&limti=2"))
        assert twice.pop("limti").startswith("is no parameter of this request")
        assert twice == {"username": "can be given only once"}
        assert (await client.get("/v1/history?metric=load&metric=instances")).status_code == 200
        assert "who, door" in failed_fields(await client.get("/v1/audit?x"))["x"]
        assert (await client.get("/?from=mail")).status_code == 200
    assert len(routes) > 40


async def test_what_an_open_page_reads_is_logged_at_debug_only(repository: StateRepository) -> None:
    async with api_client(repository, auth=None) as page:
        token = {"X-CSRF-Token": await sign_in(page)}
        with capture_logs() as events:
            await page.get("/v1/counters", headers=token)
            await page.get("/v1/counters?x=1", headers=token)
            await page.patch("/v1/settings", json={"max_connections": 900}, headers=token)
    levels = [event["log_level"] for event in events if event["event"] == "request"]
    assert levels == ["debug", "info", "info"]


async def test_who_has_an_answer_already_gets_no_second_one(repository: StateRepository) -> None:
    await repository.add_user("alice", Credential("hash", "1"), by=OPERATOR)
    async with api_client(repository) as client:
        for path in ("/v1/users", "/v1/settings", "/v1/sessions", "/v1/tokens"):
            first = await client.get(path)
            tag = first.headers["etag"]
            for given in (tag, f'"x", {tag}', "*", f"W/{tag.removeprefix('W/')}"):
                again = await client.get(path, headers={"If-None-Match": given})
                assert (again.status_code, again.content) == (304, b""), (path, given)
                assert (again.headers["etag"], again.headers["cache-control"]) == (tag, "no-store")
            for given in ("", '"x"', "nonsense"):
                again = await client.get(path, headers={"If-None-Match": given})
                assert (again.status_code, again.content) == (200, first.content)
        tag = (await client.get("/v1/users")).headers["etag"]
        await repository.add_user("bob", Credential("hash", "1"), by=OPERATOR)
        assert (await client.get("/v1/users", headers={"If-None-Match": tag})).status_code == 200
        problem(
            await client.get("/v1/users/nobody", headers={"If-None-Match": "*"}), 404, "/docs#unknown-user"
        )


async def test_health_and_metrics_are_logged_at_debug_only(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        with capture_logs() as events:
            for path in ("/livez", "/healthz", "/readyz", "/metrics", "/v1/counters"):
                await client.get(path)
    assert [event["log_level"] for event in events] == ["debug", "debug", "debug", "debug", "info"]
