"""The reference page says what the code says, and its check notices when it does not."""

from pathlib import Path

import pytest

import reference

CELLS = ("`1110`", "`-5`", "RFC 2449, section 5", "GET /readyz", "peep_store_up` | g")


def test_the_reference_page_is_what_the_code_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main(["--check"]) == 0
    assert capsys.readouterr().err == ""


def test_changed_tables_are_noticed_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = reference.PAGE.read_text()
    changed = right
    for cell in CELLS:
        assert cell in changed
        changed = changed.replace(cell, "other", 1)
    page = tmp_path / "page.md"
    page.write_text(changed)
    assert reference.main(["--check", str(page)]) == 1
    assert capsys.readouterr().err == f"{page} is out of date: run tools/reference.py\n"
    assert page.read_text() == changed
    assert reference.main([str(page)]) == 0
    assert page.read_text() == right


def test_every_command_of_peepctl_is_listed_with_its_help() -> None:
    table = reference.peepctl_commands_table()
    for command in (
        "up",
        "users add [USER]",
        "sessions",
        "sessions close",
        "kick SESSION\\|USER",
        "get [SETTING]",
        "refusals ban NETWORK...",
    ):
        assert f"| `peepctl {command}` | " in table
    assert all(row.endswith(". |") for row in table.splitlines()[2:])
