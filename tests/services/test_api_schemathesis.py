"""What the OpenAPI document says is what state-api does: schemathesis asks it, with good and bad data."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests.auth
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.checks import CHECKS

from state_api.app import create_app
from state_store.credentials.authentication import Authenticator
from state_store.credentials.passwords import Passwords
from state_store.repository import StateRepository
from support.api_process import ADMINISTRATOR, RunningApi, running_api
from support.pop3_process import Pop3Process
from support.redis_server import RedisServer

# Dozens of generated requests a test, some of which hash passwords: on a busy machine they take their time.
pytestmark = pytest.mark.timeout(120)

# Loaded for this file alone (pyproject.toml): its imports take a second.
pytest_plugins = ["schemathesis.pytest.plugin"]

ANSWER_SECONDS = 10

EXAMPLES = 12
"""Random requests an operation, beside the ones that schemathesis makes for every bound of each field."""

ENDLESS = "/v1/events"
"""Its answer does not end; `tests/unit/test_api_events.py` has what it says."""

NO_SCHEMA_CAN_SAY = {
    "list_users": "which parameters go together",
    "add_user": "which texts are hashes",
    "change_password": "which texts are hashes",
    "list_password_hashes": "that a cookie alone is not enough",
    "show_history": "which of two times comes first, and how many steps lie between them",
    "list_acts": "how far away a time may be",
    "change_own_password": "which password is the right one",
    "make_token": "which texts are networks, and what time it is",
    "close_sessions": "which texts are networks",
    "set_refusals": "which texts are networks, and what time it is",
    "suspend_user": "which reasons mail programs show, and what time it is",
    "change_settings": "which folders there are, and whose settings these still are",
}
"""Why good data may be refused with 412 or 422."""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """Give state-api over a store with users, a POP3 process and a session."""
    folder = tmp_path_factory.mktemp("api")
    with (
        RedisServer() as redis_server,
        Pop3Process(redis_server.url, tmp_path_factory.mktemp("pop3")) as pop3,
        pop3.log_in(pop3.add_user()),
        asyncio.Runner() as runner,
    ):
        program = running_api(redis_server.url, folder)
        yield runner.run(program.__aenter__())
        runner.run(program.__aexit__(None, None, None))


def described() -> dict[str, Any]:
    """Return the document, before there is a process that serves it."""
    repository, passwords = StateRepository("redis://never-connected"), Passwords()
    return create_app(repository, Authenticator(repository, passwords), passwords).openapi()


def with_quick_passwords(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with a format instead of the pattern of 5,600 characters that passwords have.

    To draw from it took hypothesis a minute. `tests/unit/test_opaque_string.py` tries each character.
    """
    schemathesis.openapi.format("password", st.text("aZ09 -\u00e9\u90ae", min_size=1, max_size=128))
    for name in ("NewUser", "NewPassword"):
        password = document["components"]["schemas"][name]["properties"]["password"]
        del password["pattern"]
        password["format"] = "password"
    return document


document = schemathesis.openapi.from_dict(with_quick_passwords(described())).exclude(path=ENDLESS)
document.auth.set_from_requests(requests.auth.HTTPBasicAuth(*ADMINISTRATOR))


def checks_of(case: Case[Any]) -> list[Any]:
    """Return all checks that make sense for this operation."""
    left_out = {
        # A wrong password is answered late from the fourth on: `test_api_authentication.py` has this.
        "ignored_auth",
    }
    if case.operation.definition.raw["operationId"] in NO_SCHEMA_CAN_SAY:
        left_out.add("positive_data_acceptance")
    return [CHECKS.get_one(name) for name in CHECKS.get_all_names() if name not in left_out]


# pytest names a test by function and parameters: without one, the tests of all operations would have one id.
@document.parametrize()
@pytest.mark.parametrize("timeout", [ANSWER_SECONDS])
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_state_api_does_what_its_document_says(case: Case[Any], api: RunningApi, timeout: float) -> None:
    if case.meta is not None and case.meta.generation.mode.is_positive:
        if "If-Match" in case.headers:
            case.headers["If-Match"] = "*"  # a random tag would never be that of the settings
        if "wait" in case.query:
            case.query["wait"] = 0  # nobody does anything meanwhile
    case.call_and_validate(base_url=str(api.client.base_url), checks=checks_of(case), timeout=timeout)


def test_it_is_this_document_that_is_served(api: RunningApi) -> None:
    served = httpx.get(f"{api.client.base_url}/openapi.json")
    assert served.json() == json.loads(json.dumps(described()))
