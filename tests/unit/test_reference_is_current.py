"""The reference page says what the code says, and its check notices when it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference.md"


def reference(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools" / "reference.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_the_reference_page_is_what_the_code_says() -> None:
    result = reference("--check")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "cell", ["`1110`", "`-5`", "RFC 2449, section 5", "GET /readyz", "peep_store_up` | g"]
)
def test_a_changed_table_is_noticed_and_mended(cell: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text().replace(cell, "other", 1))
    assert reference("--check", page).returncode == 1
    assert "other" in page.read_text()
    assert reference(page).returncode == 0
    assert page.read_text() == PAGE.read_text()
