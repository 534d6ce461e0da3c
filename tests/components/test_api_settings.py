"""`/v1/settings` over a real store."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from state_store.records import Settings
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.api_client import api_client, failed_fields, problem
from support.peep_gateway_server import pop3_instance


async def test_settings_show_the_defaults(repository: StateRepository) -> None:
    await repository.announce_mail_directory("/srv/mail", overrides=False, by=OPERATOR)
    async with api_client(repository) as client:
        response = await client.get("/v1/settings")
    assert response.json() == {
        "max_connections": 1000,
        "timeout_seconds": 600,
        "mail_directory": "/srv/mail",
    }


async def test_a_change_of_one_setting_leaves_the_others_and_returns_all(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        response = await client.patch("/v1/settings", json={"max_connections": 150})
    assert response.status_code == 200
    assert response.json() == {"max_connections": 150, "timeout_seconds": 600, "mail_directory": ""}
    assert (await repository.settings()).max_connections == 150


async def test_several_settings_change_at_once_and_each_change_is_logged_with_the_administrator(
    repository: StateRepository,
) -> None:
    async with api_client(repository) as client:
        with capture_logs() as events:
            response = await client.patch(
                "/v1/settings", json={"max_connections": 700, "timeout_seconds": 300}
            )
    assert (response.json()["max_connections"], response.json()["timeout_seconds"]) == (700, 300)
    assert (await repository.settings()).version == 1
    changes = [event for event in events if event["event"] == "setting changed"]
    assert [change["administrator"] for change in changes] == ["root", "root"]
    assert changes[0]["max_connections"] == 700
    assert changes[1]["timeout_seconds"] == 300


async def test_the_entity_tag_changes_with_the_settings_and_only_with_them(
    repository: StateRepository,
) -> None:
    async with api_client(repository) as client:
        first = (await client.get("/v1/settings")).headers["etag"]
        assert (await client.get("/v1/settings")).headers["etag"] == first
        changed = (await client.patch("/v1/settings", json={"timeout_seconds": 500})).headers["etag"]
        assert (await client.get("/v1/settings")).headers["etag"] == changed != first


async def test_of_two_who_change_what_they_have_seen_the_second_is_refused(
    repository: StateRepository,
) -> None:
    async with api_client(repository) as client:
        seen = {"If-Match": (await client.get("/v1/settings")).headers["etag"]}
        assert (await client.patch("/v1/settings", json={"timeout_seconds": 500}, headers=seen)).is_success
        lost = await client.patch("/v1/settings", json={"timeout_seconds": 900}, headers=seen)
        problem(lost, 412, "/docs#settings-changed")
    assert (await repository.settings()).timeout_seconds == 500


async def test_a_change_between_the_check_and_the_write_is_not_overwritten(
    repository: StateRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = repository.settings

    async def overtaken() -> Settings:
        seen = await read()
        monkeypatch.setattr(repository, "settings", read)
        await repository.change_settings(by=OPERATOR, max_connections=7)
        return seen

    async with api_client(repository) as client:
        monkeypatch.setattr(repository, "settings", overtaken)
        lost = await client.patch("/v1/settings", json={"timeout_seconds": 900}, headers={"If-Match": '"0"'})
        problem(lost, 412, "/docs#settings-changed")
    assert (await read()).timeout_seconds == 600


@pytest.mark.parametrize(
    "if_match",
    ['"0"', "*", '"7", "0"', '"7","0","8"', ', "0" ,', 'W/"0", "0"', '"a,b", "0"', '"7"\t,\t"0"', " * "],
)
async def test_a_change_goes_through_where_one_of_the_tags_is_the_current_one(
    repository: StateRepository, if_match: str
) -> None:
    async with api_client(repository) as client:
        change = {"timeout_seconds": 500}
        response = await client.patch("/v1/settings", json=change, headers={"If-Match": if_match})
    assert response.status_code == 200


async def test_several_lines_of_if_match_are_one_list(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        lines = [("If-Match", '"7"'), ("If-Match", '"0"')]
        response = await client.patch("/v1/settings", json={"timeout_seconds": 500}, headers=lines)
    assert response.status_code == 200


@pytest.mark.parametrize("if_match", ['"1"', 'W/"0"', '"00"', '""', '"7", W/"0"', '"0,0"', '"\u00e4"'])
async def test_a_change_is_refused_where_no_strong_tag_is_the_current_one(
    repository: StateRepository, if_match: str
) -> None:
    async with api_client(repository) as client:
        response = await client.patch(
            "/v1/settings",
            json={"timeout_seconds": 500},
            headers=[(b"If-Match", if_match.encode("latin-1"))],
        )
    problem(response, 412, "/docs#settings-changed")


@pytest.mark.parametrize("if_match", ["0", "", "'0'", '"0', '"0" "1"', '*, "0"', '"0", *', 'w/"0"', ","])
async def test_what_is_no_list_of_tags_is_refused_with_advice(
    repository: StateRepository, if_match: str
) -> None:
    async with api_client(repository) as client:
        change = {"timeout_seconds": 500}
        response = await client.patch("/v1/settings", json=change, headers={"If-Match": if_match})
    assert "double quotes" in failed_fields(response)["If-Match"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_connections", 1),
        ("max_connections", 1_000_000),
        ("timeout_seconds", 0),
        ("timeout_seconds", 86_400),
    ],
)
async def test_the_ends_of_a_range_are_inside(repository: StateRepository, field: str, value: int) -> None:
    async with api_client(repository) as client:
        response = await client.patch("/v1/settings?confirm=true", json={field: value})
    assert response.json()[field] == value


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("max_connections", 0, "greater than or equal to 1"),
        ("max_connections", 1_000_001, "less than or equal to 1000000"),
        ("max_connections", "15", "valid integer"),
        ("max_connections", 1.5, "valid integer"),
        ("max_connections", True, "valid integer"),
        ("timeout_seconds", -1, "greater than or equal to 0"),
        ("timeout_seconds", 86_401, "less than or equal to 86400"),
        ("timeout_seconds", 10**40, "less than or equal to 86400"),
        ("timeout_seconds", None, "valid integer"),
        ("mail_directory", None, "valid string"),
        ("mail_directory", "mail", "absolute path"),
        ("mail_directory", "", "absolute path"),
        ("mail_directory", "/a b", "without space"),
        ("mail_directory", "/a\0b", "printable ASCII"),
        ("mail_directory", "/post\u00e4mter", "printable ASCII"),
        ("mail_directory", "/srv/../etc", "without .."),
        ("mail_directory", "/" + "x" * 128, "128 characters"),
        ("max_conections", 5, "no field"),
    ],
)
async def test_what_is_out_of_range_or_unknown_is_refused_with_the_field_and_what_is_allowed(
    repository: StateRepository, field: str, value: Any, message: str
) -> None:
    async with api_client(repository) as client:
        response = await client.patch("/v1/settings", json={field: value})
    assert message in failed_fields(response)[field]
    assert (await repository.settings()).version == 0


async def test_a_change_of_nothing_is_refused(repository: StateRepository) -> None:
    async with api_client(repository) as client:
        fields = failed_fields(await client.patch("/v1/settings", json={}))
    assert "at least one" in fields["body"]


async def test_a_mail_directory_that_a_pop3_instance_can_use_is_set_in_its_normal_form(
    repository: StateRepository,
) -> None:
    async with pop3_instance(repository), api_client(repository) as client:
        response = await client.patch("/v1/settings", json={"mail_directory": "//srv/./mail//new/"})
    assert response.json()["mail_directory"] == "/srv/mail/new"


async def test_a_mail_directory_that_no_pop3_instance_answers_for_is_refused_and_nothing_else_changes(
    repository: StateRepository,
) -> None:
    async with api_client(repository) as client:
        change = {"mail_directory": "/srv/mail", "max_connections": 300}
        refused = problem(
            await client.patch("/v1/settings", json=change), 422, "/docs#mail-directory-refused"
        )
    assert refused["errors"] == [{"field": "mail_directory", "message": "no POP3 process is there to ask"}]
    assert (await repository.settings()).max_connections == 1000


async def test_a_mail_directory_that_an_instance_cannot_use_is_refused(repository: StateRepository) -> None:
    async with pop3_instance(repository, usable=False), api_client(repository) as client:
        response = await client.patch("/v1/settings", json={"mail_directory": "/srv/mail"})
    (error,) = problem(response, 422, "/docs#mail-directory-refused")["errors"]
    assert error["field"] == "mail_directory"
    assert error["message"].endswith("(instance pop3): Permission denied")
