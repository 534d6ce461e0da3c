"""Every service that cannot start says why in one line, at once, and names the variable to change."""

import os
import socket
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from support.certificates import Authority
from support.forked_program import ForkedProgram
from support.redis_kinds import free_port
from support.service_process import kill

PROGRAMS = {"pop3_service": "PEEP_POP3_PORT", "peep_gateway": "PEEP_PORT", "state_api": "PEEP_HTTP_PORT"}
"""The programs, each with the variable of its port."""

SECONDS = 30


def failed_start(program: str, **settings: str) -> tuple[int, str]:
    """Return the exit code and the one line that a program leaves that cannot start."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("PEEP_")}
    given |= {"PEEP_LOG_FORMAT": "json", **settings}
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        process = ForkedProgram(program, given, output.fileno(), errors.fileno(), {})
        try:
            code = process.wait(SECONDS)
        finally:
            kill(process)
        for file in (output, errors):
            file.seek(0)
        assert output.read() == ""
        (line,) = errors.read().splitlines()
    assert line.startswith(program.replace("_", "-") + ": ")
    return code, line


@pytest.mark.parametrize("program", PROGRAMS)
def test_missing_redis_url_is_told_in_one_line(program: str) -> None:
    code, line = failed_start(program)
    assert code == 2
    assert "PEEP_REDIS_URL must be set: " in line


@pytest.mark.parametrize("program", PROGRAMS)
def test_wrong_setting_is_told_in_one_line(program: str) -> None:
    variable = PROGRAMS[program]  # `tests/unit/test_settings.py` has the others
    code, line = failed_start(program, PEEP_REDIS_URL="redis://localhost", **{variable: "http"})
    assert code == 2
    assert f"{variable}=http: " in line


@pytest.mark.parametrize("program", PROGRAMS)
def test_taken_port_is_told_in_one_line_that_says_who_to_ask(
    program: str, redis_url: str, tmp_path: Path
) -> None:
    variable = PROGRAMS[program]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        settings = {variable: port, "PEEP_MAIL_DIR": str(tmp_path), "PEEP_ADMINS": "bob:sesame"}
        code, line = failed_start(program, PEEP_REDIS_URL=redis_url, **settings)
    assert code == 1
    assert f"127.0.0.1:{port} ({variable}): the port is taken" in line
    assert "ss -ltnp" in line


@pytest.mark.parametrize("workers", ["1", "2"])
def test_port_taken_by_another_program_stops_pop3_with_any_number_of_workers(
    redis_url: str, tmp_path: Path, workers: str
) -> None:
    # Nor if the other one would share its port.
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = str(taken.getsockname()[1])
        settings = {"PEEP_POP3_PORT": port, "PEEP_MAIL_DIR": str(tmp_path), "PEEP_POP3_WORKERS": workers}
        code, line = failed_start("pop3_service", PEEP_REDIS_URL=redis_url, **settings)
    assert code == 1
    assert "(PEEP_POP3_PORT): the port is taken" in line


def test_missing_mail_directory_stops_pop3_with_one_line(redis_url: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    settings = {"PEEP_MAIL_DIR": missing, "PEEP_POP3_PORT": "0", "PEEP_POP3_WORKERS": "1"}
    code, line = failed_start("pop3_service", PEEP_REDIS_URL=redis_url, **settings)
    assert code == 1
    assert f"PEEP_MAIL_DIR={missing}: must be a folder that this process can list and write" in line


def test_missing_mail_directory_is_told_once_by_two_workers(redis_url: str, tmp_path: Path) -> None:
    settings = {"PEEP_MAIL_DIR": str(tmp_path / "missing"), "PEEP_POP3_PORT": "0", "PEEP_POP3_WORKERS": "2"}
    code, line = failed_start("pop3_service", PEEP_REDIS_URL=redis_url, **settings)
    assert code == 1
    assert "PEEP_MAIL_DIR" in line


# What POP3's own settings ask for


@pytest.fixture
def pop3_settings(redis_url: str, tmp_path: Path) -> dict[str, str]:
    """Give settings with which POP3 would start."""
    mail = tmp_path / "mail"
    mail.mkdir()
    return {
        "PEEP_REDIS_URL": redis_url,
        "PEEP_MAIL_DIR": str(mail),
        "PEEP_POP3_PORT": "0",
        "PEEP_POP3S_PORT": "0",
        "PEEP_POP3_WORKERS": "1",
    }


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("missing", ["PEEP_TLS_CERT_FILE", "PEEP_TLS_KEY_FILE"])
def test_missing_file_of_the_certificate_is_told_in_one_line(
    pop3_settings: dict[str, str], tmp_path: Path, workers: str, missing: str
) -> None:
    certificate, key = Authority().issue(tmp_path)
    files = {"PEEP_TLS_CERT_FILE": str(certificate), "PEEP_TLS_KEY_FILE": str(key)}
    path = files[missing] = str(tmp_path / "missing.pem")
    code, line = failed_start("pop3_service", **{**pop3_settings, **files, "PEEP_POP3_WORKERS": workers})
    assert code == 1
    assert f"{missing}: " in line
    assert path in line
    assert "No such file" in line


@pytest.mark.parametrize("workers", ["1", "2"])
def test_key_of_another_certificate_is_told_in_one_line(
    pop3_settings: dict[str, str], tmp_path: Path, workers: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (certificate, _), (_, key) = Authority().issue(tmp_path), Authority().issue(other)
    files = {"PEEP_TLS_CERT_FILE": str(certificate), "PEEP_TLS_KEY_FILE": str(key)}
    code, line = failed_start("pop3_service", **{**pop3_settings, **files, "PEEP_POP3_WORKERS": workers})
    assert code == 1
    assert f"PEEP_TLS_KEY_FILE: the private key in {key} does not belong to" in line


def test_certificate_that_is_none_is_told_in_one_line(pop3_settings: dict[str, str], tmp_path: Path) -> None:
    certificate, key = Authority().issue(tmp_path)
    certificate.write_text("no certificate\n")
    files = {"PEEP_TLS_CERT_FILE": str(certificate), "PEEP_TLS_KEY_FILE": str(key)}
    code, line = failed_start("pop3_service", **{**pop3_settings, **files})
    assert code == 1
    assert f"PEEP_TLS_CERT_FILE: {certificate} is not a PEM file" in line


@pytest.mark.parametrize("workers", ["1", "2"])
def test_taken_port_of_pop3s_is_told_in_one_line(
    pop3_settings: dict[str, str], tmp_path: Path, workers: str
) -> None:
    certificate, key = Authority().issue(tmp_path)
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = str(taken.getsockname()[1])
        settings = {
            "PEEP_TLS_CERT_FILE": str(certificate),
            "PEEP_TLS_KEY_FILE": str(key),
            "PEEP_POP3S_PORT": port,
            "PEEP_POP3_WORKERS": workers,
        }
        code, line = failed_start("pop3_service", **{**pop3_settings, **settings})
    assert code == 1
    assert f"127.0.0.1:{port} (PEEP_POP3S_PORT): the port is taken" in line


@pytest.mark.parametrize("workers", ["1", "2"])
def test_one_port_for_pop3_with_and_without_tls_is_refused(
    pop3_settings: dict[str, str], tmp_path: Path, workers: str
) -> None:
    certificate, key = Authority().issue(tmp_path)
    port = str(free_port())
    settings = {
        "PEEP_TLS_CERT_FILE": str(certificate),
        "PEEP_TLS_KEY_FILE": str(key),
        "PEEP_POP3_PORT": port,
        "PEEP_POP3S_PORT": port,
        "PEEP_POP3_WORKERS": workers,
    }
    code, line = failed_start("pop3_service", **{**pop3_settings, **settings})
    assert code in (1, 2)
    assert "PEEP_POP3S_PORT" in line
