"""The OpenAPI document and the page made from it."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from state_store.records import MAX_CONNECTIONS_RANGE, TIMEOUT_SECONDS_RANGE
from support.api_client import api_client


async def document() -> dict[str, Any]:
    async with api_client(auth=None) as client:
        answer: dict[str, Any] = (await client.get("/openapi.json")).json()
    return answer


async def test_every_operation_has_an_id_a_tag_and_a_description() -> None:
    operations = [one for path in (await document())["paths"].values() for one in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations) == 14
    assert all(operation["tags"] and operation["description"] for operation in operations)


async def test_every_error_is_described_as_problem_json() -> None:
    schema = await document()
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            errors = {code: one for code, one in operation["responses"].items() if code >= "400"}
            assert {"500"} <= set(errors)
            assert not path.startswith("/v1") or {"401", "503"} <= set(errors)
            for error in errors.values():
                reference = {"$ref": "#/components/schemas/Problem"}
                assert error["content"] == {"application/problem+json": {"schema": reference}}
    assert "HTTPValidationError" not in schema["components"]["schemas"]


async def test_private_operations_alone_need_http_basic() -> None:
    schema = await document()
    assert schema["components"]["securitySchemes"]["administrator"]["scheme"] == "basic"
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) == path.startswith("/v1")


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
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert {"change_settings", "user-exists", "store-unavailable", "Problem"} <= page.anchors
    assert {address.removeprefix("#") for address in page.addresses} <= page.anchors | {"/openapi.json"}
