"""The file of users and passwords that `peepctl` reads."""

import io
import os
from pathlib import Path

import pytest

from peepctl.list_lines import LONGEST_LINE
from peepctl.sources import WrongSettings
from peepctl.user_passwords import UserPassword, read_users


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.touch(0o600)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(WrongSettings) as error:
        read_users(str(path))
    return str(error.value)


def test_lines_are_divided_at_the_first_colon_or_at_a_tab(users: Path) -> None:
    users.write_text("# from the old server\n\nalice:a:b c\r\nb:ob@example.org\tpass:word \n")
    assert read_users(str(users)) == [
        UserPassword("alice", "a:b c"),
        UserPassword("b:ob@example.org", "pass:word "),
    ]


def test_password_is_not_in_what_is_shown_of_a_user() -> None:
    assert "geheim" not in repr(UserPassword("alice", "geheim"))


@pytest.mark.parametrize("line", ["geheim", "alice:", ":geheim", "alice\t", "\tgeheim"])
def test_line_without_both_is_refused_by_its_number_alone(line: str, users: Path) -> None:
    users.write_text(f"bob:x\n{line}\n")
    assert refusal(users) == f"{users}, line 2: must be user:password, or both divided by a tab"


def test_same_user_twice_is_refused(users: Path) -> None:
    users.write_text("alice:x\nbob:y\nalice:z\n")
    assert refusal(users) == f"{users}, line 3: the same user as in line 1"


def test_endless_line_is_refused(users: Path) -> None:
    users.write_text("alice:" + LONGEST_LINE * "x")
    assert "line 1: longer than 4,096 characters" in refusal(users)


@pytest.mark.parametrize("content", [b"", b"# nobody\n"])
def test_file_without_users_is_refused(content: bytes, users: Path) -> None:
    users.write_bytes(content)
    assert "names no users" in refusal(users)


def test_file_that_is_no_text_is_refused(users: Path) -> None:
    users.write_bytes(b"alice:\xff\xfe\n")
    assert refusal(users) == f"{users} is not UTF-8 text"


def test_file_that_others_can_read_is_refused(users: Path) -> None:
    users.write_text("alice:x\n")
    users.chmod(0o640)
    assert "others can read it: chmod 600" in refusal(users)


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refusal(tmp_path / "absent")
    assert "cannot be read: Is a directory" in refusal(tmp_path)


def test_standard_input_and_pipes_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("alice:x\n"))
    assert read_users("-") == [UserPassword("alice", "x")]
    reading, writing = os.pipe()
    os.write(writing, b"bob:y\n")
    os.close(writing)
    try:
        assert read_users(f"/dev/fd/{reading}") == [UserPassword("bob", "y")]
    finally:
        os.close(reading)
