"""The chart's values and their table say what the schema says, and the check notices when they do not."""

import shutil
from pathlib import Path

import pytest

import chart_values

ROOT = Path(__file__).parents[2]
FILES = ("deploy/chart/values.schema.json", "deploy/chart/values.yaml", "docs/kubernetes.md")


def test_values_and_their_table_are_what_the_schema_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert chart_values.main(["--check"]) == 0
    assert capsys.readouterr().err == ""


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
    assert chart_values.main(["--check", str(tmp_path)]) == 1
    assert chart_values.main([str(tmp_path)]) == 0
    assert changed.read_text() == before
