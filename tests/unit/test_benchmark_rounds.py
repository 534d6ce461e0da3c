"""What the rounds of a benchmark say, and what is kept of one that is ended early."""

from pathlib import Path

import pytest

from progress import Progress
from ratios import LARGEST_SPREAD, Bar, Ratio, ratio
from report import Report
from sections import Options, Section, SectionResult
from studies import growth


def test_a_single_disturbed_round_does_not_make_a_row_restless() -> None:
    found = ratio([2.0, 2.0, 2.0, 2.0, 6.0, 2.0, 2.0, 2.0, 2.0], [1.0] * 9)
    assert (found.median, found.spread) == (2.0, 0.0)


def test_a_third_of_the_rounds_that_differs_makes_a_row_restless() -> None:
    found = ratio([2.0] * 6 + [2.5, 2.4, 2.5], [1.0] * 9)
    assert (found.median, found.smallest, found.largest) == (2.0, 2.0, 2.5)
    assert found.spread > LARGEST_SPREAD


def test_each_of_a_few_rounds_counts_for_itself() -> None:
    found = ratio([2.0, 3.0], [1.0, 1.0])
    assert (found.smallest, found.largest) == (2.0, 3.0)


def test_every_round_counts_where_their_number_is_no_multiple_of_three() -> None:
    found = ratio([2.0, 2.0, 2.0, 2.0, 3.0], [1.0] * 5)
    assert found.largest == 2.5


def test_a_server_with_fewer_rounds_is_held_against_the_first_ones_of_the_other() -> None:
    assert ratio([2.0, 2.0, 2.0, 8.0, 8.0], [1.0, 1.0, 1.0]).median == 2.0


def test_a_section_that_is_ended_early_has_handed_over_its_parts_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(options: Options) -> SectionResult:
        raise KeyboardInterrupt

    first = SectionResult("the first part", {"points": []})
    parts = {"first": ("First", lambda options: first), "second": ("Second", interrupted)}
    monkeypatch.setattr(growth, "PARTS", parts)
    kept: list[SectionResult] = []
    folder = tmp_path / "section"
    folder.mkdir()
    options = Options(folder, 1, 1.0, True, tmp_path, Progress(), keep=kept.append)
    with pytest.raises(KeyboardInterrupt):
        growth.measure(options)
    assert [("the first part" in one.text, one.figures["first"]) for one in kept] == [(True, {"points": []})]


def test_a_restless_row_has_no_ratio_and_no_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(
        "pictures.draw_comparison", lambda bars, path: drawn.extend(bar["label"] for bar in bars)
    )
    bars = [Bar("check", 5, Ratio(5.25, 5.1, 5.5)), Bar("fetch", 2.5, Ratio(2.75, 2.4, 2.9))]
    found = SectionResult("", {"bars": [bar.as_json() for bar in bars]})
    section = Section("comparison", "Beside others", lambda options: found)
    report = Report(tmp_path, [section.name])
    report.add(section, found, ["a machine"], is_whole=True)
    report.write()
    report.draw()
    text = (tmp_path / "README.md").read_text()
    assert "| check |  | 5.25 | 5.10 to 5.50 | 5 | yes |" in text
    assert "| fetch |  |  | 2.40 to 2.90 | 2.5 | not told: rounds spread over 18% |" in text
    assert drawn == ["check"]
    assert report.restless([section.name]) == ["fetch: 2.75 (2.40 to 2.90), 18%"]
