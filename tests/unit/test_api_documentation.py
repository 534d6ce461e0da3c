"""The OpenAPI document and the page made from it."""

import html
import json
import re
from html.parser import HTMLParser
from typing import Any

import jsonschema_rs
import pytest

from state_api.documentation import demanded_role
from state_api.documentation_examples import example, forms
from state_api.schemas import Problem
from state_store.records import MAX_CONNECTIONS_RANGE, TIMEOUT_SECONDS_RANGE
from support.api_client import api_client


async def document() -> dict[str, Any]:
    async with api_client(auth=None) as client:
        answer: dict[str, Any] = (await client.get("/openapi.json")).json()
    return answer


async def operations() -> dict[str, dict[str, Any]]:
    """Return what is said about each operation, by its id."""
    paths = (await document())["paths"].values()
    return {operation["operationId"]: operation for methods in paths for operation in methods.values()}


async def test_every_operation_has_an_id_a_tag_and_a_description() -> None:
    operations = [one for path in (await document())["paths"].values() for one in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["tags"] and operation["description"] for operation in operations)


async def test_every_error_is_described_as_problem_json() -> None:
    schema = await document()
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            errors = {code: one for code, one in operation["responses"].items() if code >= "400"}
            assert {"500"} <= set(errors)
            assert not path.startswith("/v1") or {"401", "503"} <= set(errors)
            for status, error in errors.items():
                ((media_type, content),) = error["content"].items()
                assert media_type == "application/problem+json"
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                examples = [Problem(**example["value"]) for example in content["examples"].values()]
                assert {str(example.status) for example in examples} == {status}
    assert "HTTPValidationError" not in schema["components"]["schemas"]


@pytest.mark.parametrize(
    ("operation_id", "errors"),
    [
        ("show_settings", "401 403 422 429 500 503"),
        ("change_settings", "401 403 409 412 413 422 429 500 503"),
        ("list_users", "401 403 422 429 500 503"),
        ("add_user", "401 403 409 413 422 429 500 503"),
        ("show_user", "401 403 404 422 429 500 503"),
        ("remove_user", "401 403 404 422 429 500 503"),
        ("change_password", "401 403 404 413 422 429 500 503"),
        ("close_session", "401 403 404 422 429 500 503"),
        ("stream_events", "401 403 422 429 500 503"),
        ("show_readiness", "422 500 503"),
    ],
)
async def test_every_error_that_an_operation_may_answer_is_listed(operation_id: str, errors: str) -> None:
    listed = (await operations())[operation_id]["responses"]
    assert sorted(status for status in listed if status >= "400") == errors.split()


async def test_headers_that_answers_bear_are_described() -> None:
    described = {
        (operation_id, status, header)
        for operation_id, operation in (await operations()).items()
        for status, response in operation["responses"].items()
        for header in response["headers"]
    }
    wanted = [
        ("show_settings", "200", "ETag"),
        ("change_settings", "200", "ETag"),
        ("list_users", "200", "Link"),
        ("add_user", "201", "Location"),
        ("show_counters", "401", "WWW-Authenticate"),
        ("stream_events", "503", "Retry-After"),
        ("show_liveness", "200", "X-Request-ID"),
    ]
    assert set(wanted) <= described


async def test_the_stream_of_events_has_its_media_type_and_an_example() -> None:
    content = (await operations())["stream_events"]["responses"]["200"]["content"]["text/event-stream"]
    assert "event: login" in content["example"]


OF_USERS = ("NewUser", "NewUserWithHash", "UserEntry", "AddedUser", "PasswordScheme", "UserHash")


async def test_every_request_and_answer_has_fields_with_examples() -> None:
    schemas = (await document())["components"]["schemas"]
    for name in (*OF_USERS, "Session", "Instance", "SettingsChange", "Counters", "Version"):
        for field, about in schemas[name]["properties"].items():
            assert about.get("examples") or about.get("format") == "date-time", (name, field)


async def test_page_leads_to_every_form_of_a_body() -> None:
    async with api_client(auth=None) as client:
        page = (await client.get("/docs")).text
    for name in ("NewUser", "NewUserWithHash", "NewUsers", "NewPassword", "NewPasswordHash", "AddedUsers"):
        assert f"<a href='#{name}'>" in page
        assert f"<h3 id='{name}'>" in page


async def test_private_operations_alone_demand_a_role() -> None:
    schema = await document()
    assert schema["components"]["securitySchemes"]["administrator"]["scheme"] == "basic"
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert bool(demanded_role(operation)) == path.startswith("/v1")


async def test_ranges_are_those_of_peep() -> None:
    fields = (await document())["components"]["schemas"]["SettingsChange"]["properties"]
    for name, allowed in (
        ("max_connections", MAX_CONNECTIONS_RANGE),
        ("timeout_seconds", TIMEOUT_SECONDS_RANGE),
    ):
        assert (fields[name]["minimum"], fields[name]["maximum"]) == (allowed[0], allowed[-1])


@pytest.mark.parametrize("name", ["alice", "a.b", "!", "-x", "~" * 128])
async def test_the_pattern_of_user_names_fits_what_is_taken(name: str) -> None:
    field = (await document())["components"]["schemas"]["NewUser"]["properties"]["username"]
    assert re.search(field["pattern"], name)
    assert not re.search(field["pattern"], f"{name}/x")
    assert not re.search(field["pattern"], f".{name}")


async def test_the_pattern_of_passwords_refuses_what_is_refused() -> None:
    schemas = (await document())["components"]["schemas"]
    for name in ("NewUser", "NewPassword"):
        field = schemas[name]["properties"]["password"]
        assert re.search(field["pattern"], "correct horse battery st\u00e4ple")
        for character in "\0\t\x7f\u200b\u2028\ue000\uffff\U0010ffff":
            assert not re.search(field["pattern"], f"secret{character}"), hex(ord(character))


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value or "")
            if name in ("src", "href"):
                self.addresses.append(value or "")


async def test_the_page_loads_nothing_and_every_link_leads_somewhere() -> None:
    async with api_client(auth=None) as client:
        response = await client.get("/docs")
    page = _Page()
    page.feed(response.text)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} <= set(
        policy
    )
    assert {"change_settings", "user-exists", "store-unavailable", "Problem"} <= page.anchors
    assert {address.removeprefix("#") for address in page.addresses} <= page.anchors | {"/openapi.json"}


async def test_the_page_has_an_example_of_each_body_that_its_own_schema_takes() -> None:
    schema = await document()
    async with api_client(auth=None) as client:
        page = html.unescape((await client.get("/docs")).text)
    seen = 0
    for operation in (await operations()).values():
        answers = (one for status, one in operation["responses"].items() if status < "300")
        for holder in (operation.get("requestBody", {}), *answers):
            for form in forms(holder.get("content", {}).get("application/json", {}).get("schema", {})):
                body = example(form, schema["components"]["schemas"])
                jsonschema_rs.validate({**form, "components": schema["components"]}, body)
                assert json.dumps(body, indent=2, ensure_ascii=False) in page
                seen += 1
    assert seen > 50
