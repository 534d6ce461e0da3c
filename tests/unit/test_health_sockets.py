"""Where the POP3 processes answer health checks, and what happens where they cannot."""

import tempfile
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from peepctl.up import embedded
from pop3_service.health import check as health_check
from pop3_service.health.answer import HealthServer


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, Path]:
    """Give TMPDIR and the folder that is tried after it; neither is there yet."""
    chosen, usual = tmp_path / "chosen", tmp_path / "usual"
    monkeypatch.setenv("TMPDIR", str(chosen))
    monkeypatch.setattr(health_check, "FOLDERS", (str(usual),))
    return chosen, usual


async def test_without_a_writable_folder_there_is_one_warning(folders: tuple[Path, Path]) -> None:
    servers = [HealthServer(1110), HealthServer(1110, is_logging=False)]
    with capture_logs() as events:
        for server in servers:
            await server.start()
            server.stop()
    (warning,) = (event for event in events if event["log_level"] == "warning")
    assert warning["event"] == "health checks cannot be answered: no folder for their socket"
    assert [str(folder) in fault for folder, fault in zip(folders, warning["tried"], strict=True)] == [
        True
    ] * 2
    assert health_check.check({}) == (False, "unhealthy: no POP3 process answers for port 1110")


async def test_a_folder_that_cannot_be_written_to_is_passed_over(folders: tuple[Path, Path]) -> None:
    _, usual = folders
    usual.mkdir()
    server = HealthServer(1110)
    with capture_logs() as events:
        await server.start()
    assert events == []
    assert len(list(usual.iterdir())) == 1
    server.stop()
    assert list(usual.iterdir()) == []


def test_an_embedded_server_without_a_folder_for_its_socket_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    data = tmp_path / ("long" * 30)
    with pytest.raises(
        embedded.EmbeddedServerError, match="set TMPDIR to one, or PEEP_DATA_DIR to a shorter"
    ):
        embedded.EmbeddedServer(data).start()
