"""Append-only files that are damaged in the middle: what a start says, and what `repair-store` does."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from peepctl.up import append_only_file
from peepctl.up.directory_lock import DirectoryLock
from peepctl.up.embedded import EmbeddedServer, EmbeddedServerError
from peepctl.up.server_binary import find_server
from support.peepctl_program import Peepctl
from support.pop3_process import wait_until

DAMAGE = b"\xff" * 40
KEYS = 400


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give a data directory whose server had a base file with half of the keys, and the others behind it."""
    directory = tmp_path / "data"
    directory.mkdir()
    server = EmbeddedServer(directory)
    server.start()
    try:
        fill(server, range(KEYS // 2))
        ask(server, b"BGREWRITEAOF")
        wait_until(
            lambda: b"aof_rewrite_in_progress:0" in ask(server, b"INFO persistence"), "it is rewritten"
        )
        fill(server, range(KEYS // 2, KEYS))
    finally:
        server.stop()
    return directory


@pytest.fixture
def peepctl(tmp_path: Path) -> Peepctl:
    return Peepctl(tmp_path)


def ask(server: EmbeddedServer, *commands: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(server.socket_path))
        connection.sendall(b"".join(command + b"\r\n" for command in commands) + b"QUIT\r\n")
        return b"".join(iter(lambda: connection.recv(65536), b""))


def fill(server: EmbeddedServer, numbers: range) -> None:
    ask(server, *(b"SET key%06d %s" % (number, b"v" * 20) for number in numbers))


def file_of(data: Path, kind: str) -> Path:
    (path,) = (data / "redis" / append_only_file.FOLDER).glob(f"*.{kind}.*")
    return path


def overwrite_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(DAMAGE)


def started(data: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(data)
    server.start()
    yield server
    server.stop()


def reason_of_failure(data: Path) -> str:
    with pytest.raises(EmbeddedServerError) as caught:
        EmbeddedServer(data).start()
    return str(caught.value)


def test_a_start_says_what_a_damage_in_the_middle_costs_and_how_to_repair_it(data: Path) -> None:
    path = file_of(data, "incr")
    overwrite_the_middle(path)
    reason = reason_of_failure(data)
    assert "\n" not in reason
    damage = append_only_file.examine(find_server(), data / "redis")
    assert damage is not None
    assert damage.octets == path.stat().st_size
    assert damage.octets // 2 - 100 < damage.sound_octets <= damage.octets // 2
    assert f"{path.name} is damaged after octet {damage.sound_octets:,} of {damage.octets:,}; " in reason
    assert "% of the changes since it was begun: `peepctl repair-store` does that and keeps a copy" in reason
    assert f"(its log: {data / 'redis' / 'server.log'})" in reason


def test_repair_keeps_what_comes_before_the_damage_and_a_copy_of_all(data: Path, peepctl: Peepctl) -> None:
    path = file_of(data, "incr")
    overwrite_the_middle(path)
    damaged = path.read_bytes()
    done = peepctl.run("repair-store", given="y\n")
    assert done.code == 0, done
    (copy,) = data.glob("redis.damaged-*")
    assert f"repaired; {copy} keeps it as it was before" in done.stdout
    assert (copy / append_only_file.FOLDER / path.name).read_bytes() == damaged
    assert damaged.startswith(path.read_bytes())
    (server,) = [server for server in started(data) if int(ask(server, b"DBSIZE")[1:].split()[0]) > KEYS // 2]
    assert server.version


def test_repair_changes_nothing_without_a_yes(data: Path, peepctl: Peepctl) -> None:
    path = file_of(data, "incr")
    overwrite_the_middle(path)
    damaged = path.read_bytes()
    for answer in ("n\n", "\n", ""):
        done = peepctl.run("repair-store", given=answer)
        assert done.code == 1, done
        assert "% of the changes since it was begun" in done.stdout
    assert path.read_bytes() == damaged
    assert [entry.name for entry in data.iterdir() if entry.name.startswith("redis.damaged")] == []


def test_repair_says_that_a_damaged_base_file_needs_a_backup_and_changes_nothing(
    data: Path, peepctl: Peepctl
) -> None:
    overwrite_the_middle(file_of(data, "base"))
    assert "this cannot be repaired: restore a backup" in reason_of_failure(data)
    assert "only a backup helps" in peepctl.output("repair-store", "--yes")
    assert list(data.glob("redis.damaged-*")) == []


def test_repair_says_that_sound_files_need_none(data: Path, peepctl: Peepctl) -> None:
    assert peepctl.output("repair-store", "--yes").startswith("nothing to repair: ")
    assert [bool(server.version) for server in started(data)] == [True]


@pytest.mark.parametrize("kind", ["incr", "base"])
def test_a_missing_file_is_told(data: Path, kind: str) -> None:
    path = file_of(data, kind)
    path.unlink()
    assert path.name in reason_of_failure(data)


def test_repair_refuses_a_directory_in_use(data: Path, peepctl: Peepctl) -> None:
    lock = DirectoryLock(data)
    lock.acquire()
    try:
        done = peepctl.run("repair-store", "--yes")
    finally:
        lock.release()
    assert done.code == 1
    assert "is in use by process" in done.stderr


def test_a_copy_that_cannot_be_made_leaves_all_as_it_was(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_of(data, "incr")
    overwrite_the_middle(path)
    damaged = path.read_bytes()
    damage = append_only_file.examine(find_server(), data / "redis")
    assert damage is not None

    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(OSError, match="No space"):
        append_only_file.repair(find_server(), data / "redis", damage)
    assert path.read_bytes() == damaged
