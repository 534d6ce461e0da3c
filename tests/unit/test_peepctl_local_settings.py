from __future__ import annotations

import os
from pathlib import Path

import pytest

from peepctl.up.settings import UpSettings
from service_runtime.errors import StartError
from service_runtime.settings import load

EMBEDDED = "unix:///data/redis.sock"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PEEP_")]:
        monkeypatch.delenv(name)


def passed_on(monkeypatch: pytest.MonkeyPatch, **settings: str) -> dict[str, str]:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    environment = load(UpSettings).service_environment(os.environ, EMBEDDED)
    return {name: value for name, value in environment.items() if name.startswith("PEEP_")}


def test_services_get_the_embedded_server_the_data_directorys_files_and_a_short_drain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert passed_on(monkeypatch, PEEP_DATA_DIR="/data") == {
        "PEEP_REDIS_URL": EMBEDDED,
        "PEEP_MAIL_DIR": "/data/mail",
        "PEEP_ADMINS_FILE": "/data/admins",
        "PEEP_DRAIN_SECONDS": "2",
    }


def test_a_relative_data_directory_reaches_the_services_as_an_absolute_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert passed_on(monkeypatch)["PEEP_MAIL_DIR"] == str(tmp_path / "data" / "mail")


def test_what_is_set_is_passed_on_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {
        "PEEP_REDIS_URL": "redis://elsewhere",
        "PEEP_MAIL_DIR": "/srv/mail",
        "PEEP_ADMINS": "root:of-all",
        "PEEP_DRAIN_SECONDS": "7.5",
        "PEEP_POP3_PORT": "0",
        "PEEP_MAILDIR_LAYOUT": "{domain}/{local}/Maildir",
    }
    assert passed_on(monkeypatch, **chosen) == chosen


def test_a_layout_that_cannot_be_is_told_before_anything_is_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(StartError, match=r"PEEP_MAILDIR_LAYOUT=\{local\}: must hold"):
        passed_on(monkeypatch, PEEP_MAILDIR_LAYOUT="{local}")


def test_a_secret_in_a_file_is_passed_on_as_that_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = tmp_path / "url"
    url.write_text("redis://:secret@elsewhere\n")
    environment = passed_on(monkeypatch, PEEP_REDIS_URL_FILE=str(url))
    assert environment["PEEP_REDIS_URL_FILE"] == str(url)
    assert "PEEP_REDIS_URL" not in environment


def test_an_empty_secret_file_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = passed_on(monkeypatch, PEEP_REDIS_URL_FILE=os.devnull, PEEP_ADMINS_FILE=os.devnull)
    assert environment["PEEP_REDIS_URL"] == EMBEDDED
    assert "PEEP_REDIS_URL_FILE" not in environment
    assert environment["PEEP_ADMINS_FILE"] != os.devnull


def test_an_unreadable_secret_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StartError, match="PEEP_ADMINS_FILE: cannot read /nonexistent/admins"):
        passed_on(monkeypatch, PEEP_ADMINS_FILE="/nonexistent/admins")
