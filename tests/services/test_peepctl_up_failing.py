"""A `peepctl up` that cannot start says why in one line, and leaves nothing in the way of the next."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import pytest

from support.peepctl_up import Up
from support.pop3_process import _give_up_rights_on_files

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away and mount")
NEEDS_PROC = pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
SECONDS = 40
ROOT = Path(__file__).parents[2]
NOBODY = 65534


def one_line(environment: dict[str, str], *, ordinary_rights: bool = False) -> str:
    """Run `peepctl up`, which has to fail, and return the only line that it writes."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("PEEP_")}
    done = subprocess.run(
        (sys.executable, "-m", "peepctl", "up"),
        env=given | environment,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=SECONDS,
        check=False,
        preexec_fn=_give_up_rights_on_files if ordinary_rights else None,
    )
    assert done.returncode in {1, 2}
    told = [line for line in done.stderr.splitlines() if line]
    assert len(told) == 1, done
    assert told[0].startswith("peepctl: ")
    return told[0]


@NEEDS_ROOT
@pytest.mark.parametrize("name", [".", "redis", "admins", "peepctl.lock", "mail"])
def test_a_data_directory_of_another_user_is_named_with_both_users(tmp_path: Path, name: str) -> None:
    data = tmp_path / "data"
    (data / "redis").mkdir(parents=True)
    (data / "mail").mkdir()
    for file in ("admins", "peepctl.lock"):
        (data / file).touch()
    os.chown(data / name, NOBODY, NOBODY)
    os.chmod(data / name, 0o700)
    line = one_line({"PEEP_DATA_DIR": str(data)}, ordinary_rights=True)
    assert (
        f"PEEP_DATA_DIR={data}: {data / name} belongs to the user nobody, and the user root has no access"
        in line
    )


@NEEDS_ROOT
def test_files_of_the_server_that_are_another_users_are_told_in_one_line(tmp_path: Path) -> None:
    log = tmp_path / "data" / "redis" / "server.log"
    log.parent.mkdir(parents=True)
    log.touch(mode=0o600)
    os.chown(log, NOBODY, NOBODY)
    line = one_line({"PEEP_DATA_DIR": str(tmp_path / "data")}, ordinary_rights=True)
    assert line == f"peepctl: cannot start: Permission denied: {log}; stopping the rest"


@contextmanager
def disk_of(octets: int, inodes: int) -> Iterator[Path]:
    """Give a file system that takes no more than this."""
    folder = Path(mkdtemp(prefix="peep-disk-"))
    try:
        subprocess.run(
            ("mount", "-t", "tmpfs", "-o", f"size={octets},nr_inodes={inodes}", "tmpfs", folder),
            check=True,
            timeout=SECONDS,
        )
        try:
            yield folder
        finally:
            subprocess.run(("umount", folder), check=True, timeout=SECONDS)
    finally:
        shutil.rmtree(folder)


@NEEDS_ROOT
@NEEDS_PROC
@pytest.mark.parametrize(
    ("octets", "inodes"),
    [
        pytest.param(4096, 100, id="nothing but the lock fits"),
        pytest.param(16384, 100, id="the server starts and cannot write"),
        pytest.param(1 << 20, 2, id="no file after the data directory"),
        pytest.param(1 << 20, 4, id="no file after the server's folder"),
        pytest.param(1 << 20, 10, id="no file after the server's own"),
        pytest.param(1 << 20, 14, id="not all samples fit"),
    ],
)
def test_a_full_disk_is_told_in_one_line(octets: int, inodes: int) -> None:
    with disk_of(octets, inodes) as disk:
        line = one_line({"PEEP_DATA_DIR": str(disk / "data")})
    assert "No space left on device" in line or "its disk" in line or "exit code 1: " in line


@NEEDS_ROOT
@NEEDS_PROC
def test_after_a_full_disk_the_next_start_is_a_first_one(tmp_path: Path) -> None:
    with disk_of(1 << 20, 14) as disk:
        settings = {"PEEP_DATA_DIR": str(disk / "data")}
        one_line(settings)
        subprocess.run(("mount", "-o", "remount,size=8m,nr_inodes=1000", disk), check=True, timeout=SECONDS)
        up = Up(tmp_path, settings)
        try:
            client = up.ready().log_in()
            assert client.stat()[0] == 3
            client.quit()
            assert up.stop()[0] == 0, up.errors.read_text()
        finally:
            up.clean_up()


@pytest.mark.parametrize("octets", [b"caf\xe9", b"a\nb"], ids=["no UTF-8", "a line end"])
def test_a_path_that_cannot_be_shown_is_told_in_one_line(tmp_path: Path, octets: bytes) -> None:
    data = os.fsdecode(os.path.join(os.fsencode(tmp_path), octets))
    assert "must be a path of printable text" in one_line({"PEEP_DATA_DIR": data, "LC_ALL": "C"})


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_path_beyond_ascii_is_served_in_any_locale(tmp_path: Path, locale: str) -> None:
    up = Up(tmp_path, {"PEEP_DATA_DIR": str(tmp_path / "donn\u00e9es" / "\u90ae\u4ef6"), "LC_ALL": locale})
    try:
        client = up.ready().log_in()
        assert client.stat()[0] == 3
        client.quit()
        assert up.stop()[0] == 0, up.errors.read_text()
    finally:
        up.clean_up()


def test_what_make_installs_in_a_path_beyond_ascii_is_found_in_any_locale(tmp_path: Path) -> None:
    project = tmp_path / "donn\u00e9es"
    environment = project / ".venv"
    venv.create(environment)
    (project / "peepctl" / "peepctl").mkdir(parents=True)
    (project / "peepctl" / "peepctl" / "__init__.py").write_text("")
    (site_packages,) = environment.glob("lib/python*/site-packages")
    (site_packages / "_peep.pth").write_text(f"{project / 'line-server'}\n{project / 'peepctl'}\n")
    recipe = f"include {ROOT / 'Makefile'}\nrecipe:\n\t@$(RELATIVE_PATHS)\n"
    subprocess.run(
        ("make", "-f", "-", "recipe"), cwd=project, input=recipe.encode(), check=True, timeout=SECONDS
    )
    for locale in ("C", "C.UTF-8"):
        found = subprocess.run(
            (environment / "bin" / "python", "-X", "utf8", "-c", "import peepctl; print(peepctl.__file__)"),
            env={"LC_ALL": locale},
            cwd=tmp_path,
            capture_output=True,
            check=True,
            timeout=SECONDS,
        )
        assert Path(os.fsdecode(found.stdout.strip())) == project / "peepctl" / "peepctl" / "__init__.py"
