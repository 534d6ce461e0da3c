"""A thread that goes through many files lets the others run."""

import time
from pathlib import Path

import pytest

from pop3_service.maildir import Maildirs
from pop3_service.maildir.folder import Folder
from pop3_service.maildir.giving_way import FILES_AT_ONCE, NAMES_AT_ONCE, WAY_SECONDS, giving_way
from support.maildir_files import at

FILES = 3 * FILES_AT_ONCE


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    rests: list[float] = []
    monkeypatch.setattr(time, "sleep", rests.append)
    return rests


@pytest.mark.parametrize("count", [0, 1, FILES_AT_ONCE - 1, FILES_AT_ONCE, FILES_AT_ONCE + 1, FILES])
def test_all_items_come_in_order_with_a_rest_after_every_few(count: int, rests: list[float]) -> None:
    assert list(giving_way(range(count))) == list(range(count))
    assert rests == [WAY_SECONDS] * (count // FILES_AT_ONCE)


def test_names_cost_less_than_files_and_are_more_at_once(tmp_path: Path, rests: list[float]) -> None:
    (tmp_path / "new").mkdir()
    with Folder(at(tmp_path), b"new") as folder:
        for number in range(NAMES_AT_ONCE):
            (tmp_path / "new" / f"{number}.a").touch()
        assert len(folder.names()) == NAMES_AT_ONCE
    assert rests == [WAY_SECONDS]


def test_a_listing_and_a_verification_give_way(tmp_path: Path, rests: list[float]) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "cur").mkdir()
    for number in range(FILES):
        (tmp_path / "new" / f"{number}.a").write_bytes(b"a\n")
    seconds = iter(range(0, 1000, 10))
    maildirs = Maildirs(lambda: float(next(seconds)))
    maildirs.scan(at(tmp_path))
    assert len(rests) == FILES // FILES_AT_ONCE
    maildirs.scan(at(tmp_path))
    rests.clear()
    maildirs.verify(at(tmp_path).path)
    assert len(rests) == FILES // FILES_AT_ONCE
