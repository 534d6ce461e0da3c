"""P12: what may become the mail directory."""

from pathlib import Path

import pytest

from pop3_service.maildir import mail_directory_fault
from support.maildir_files import ordinary_user


def test_a_folder_that_can_be_listed_and_written_will_do(tmp_path: Path) -> None:
    (tmp_path / "alice").mkdir()
    assert not mail_directory_fault(str(tmp_path), [])


def test_a_link_to_a_good_folder_will_do(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mail")
    assert not mail_directory_fault(str(tmp_path / "link"), [])


def test_a_missing_folder_will_not_do(tmp_path: Path) -> None:
    assert mail_directory_fault(str(tmp_path / "none"), [])


def test_a_file_will_not_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert mail_directory_fault(str(tmp_path / "file"), [])


@pytest.mark.parametrize("path", ["", ".", "mail", "../mail"])
def test_a_relative_path_will_not_do(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mail").mkdir()
    monkeypatch.chdir(tmp_path)
    assert mail_directory_fault(path, [])


def test_a_path_with_nul_will_not_do(tmp_path: Path) -> None:
    assert mail_directory_fault(f"{tmp_path}\0", [])


def test_a_loop_of_links_will_not_do(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert mail_directory_fault(str(tmp_path / "loop"), [str(tmp_path)])


@pytest.mark.parametrize("mode", [0o300, 0o500, 0o600, 0o000])
def test_a_folder_without_one_of_the_three_rights_will_not_do(mode: int) -> None:
    with ordinary_user() as folder:
        folder.chmod(mode)
        fault = mail_directory_fault(str(folder), [])
        folder.chmod(0o700)
        assert fault
        assert not mail_directory_fault(str(folder), [])


@pytest.mark.parametrize("below", ["", "alpha", "alpha/beta"])
def test_a_folder_at_or_below_a_root_will_do(below: str, tmp_path: Path) -> None:
    (tmp_path / "alpha" / "beta").mkdir(parents=True)
    assert not mail_directory_fault(str(tmp_path / below), ["/nowhere", str(tmp_path)])


def test_everything_is_below_the_root_of_the_file_system(tmp_path: Path) -> None:
    assert not mail_directory_fault(str(tmp_path), ["/"])


def test_a_root_does_not_match_a_longer_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "ab").mkdir()
    assert mail_directory_fault(str(tmp_path / "ab"), [str(tmp_path / "a")])


def test_a_folder_above_the_roots_will_not_do(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert mail_directory_fault(str(tmp_path), [str(tmp_path / "a")])


def test_a_link_that_leaves_the_root_will_not_do(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    assert mail_directory_fault(str(tmp_path / "root" / "link"), [str(tmp_path / "root")])


def test_dots_that_leave_the_root_will_not_do(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    assert mail_directory_fault(str(tmp_path / "root" / ".."), [str(tmp_path / "root")])


def test_a_root_may_be_a_link_itself(tmp_path: Path) -> None:
    (tmp_path / "real" / "mail").mkdir(parents=True)
    (tmp_path / "root").symlink_to(tmp_path / "real")
    assert not mail_directory_fault(str(tmp_path / "real" / "mail"), [str(tmp_path / "root")])


@pytest.mark.parametrize("root", ["", ".", "mail"])
def test_a_relative_root_holds_nothing(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mail").mkdir()
    monkeypatch.chdir(tmp_path)
    assert mail_directory_fault(str(tmp_path / "mail"), [root])
