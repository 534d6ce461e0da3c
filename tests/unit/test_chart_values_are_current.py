"""The chart's values and their table say what the schema says, and the check notices when they do not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("deploy/chart/values.schema.json", "deploy/chart/values.yaml", "docs/kubernetes.md")


def chart_values(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools" / "chart_values.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_values_and_their_table_are_what_the_schema_says() -> None:
    result = chart_values("--check")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("file", "text"), [(FILES[1], "preStopSeconds: 5"), (FILES[2], "| `preStopSeconds` | `5` |")]
)
def test_a_changed_file_is_noticed_and_mended(file: str, text: str, tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    changed = tmp_path / file
    before = changed.read_text()
    assert text in before
    changed.write_text(before.replace(text, "other"))
    assert chart_values("--check", tmp_path).returncode == 1
    assert chart_values(tmp_path).returncode == 0
    assert changed.read_text() == before
