"""The wheel and the sdist, each installed into an environment that knows nothing of the checkout."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path, PurePosixPath

import httpx
import pytest

from service_runtime import VERSION
from support.peepctl_up import Up

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")

ROOT = Path(__file__).parents[2]
OUR_FOLDERS = (
    "line-server",
    "service-runtime",
    "state-store",
    "pop3-service",
    "peep-gateway",
    "state-api",
    "peepctl",
)
PROGRAMS = ("peep-pop3", "peep-gateway", "peep-state-api", "peepctl")
SECONDS = 60

WHERE_FROM = """
import line_server, peepctl, pop3_service.maildir.wire as wire
print(line_server.__file__, peepctl.__file__, wire.read_wire.__module__, sep="\\n")
"""


def build(source: Path, into: Path) -> dict[str, bytes]:
    """Build the wheel and the sdist of what is in `source`; return them by their names."""
    command = (sys.executable, "-m", "hatchling", "build", "--directory", into)
    dated = {**os.environ, "SOURCE_DATE_EPOCH": "1795996494"}
    subprocess.run(command, cwd=source, env=dated, check=True, capture_output=True, timeout=SECONDS)
    return {file.name: file.read_bytes() for file in into.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a wheel and an sdist of the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder)
    return folder


def file_of(built: Path, kind: str) -> Path:
    (file,) = built.glob({"wheel": "peep-*.whl", "sdist": "peep-*.tar.gz"}[kind])
    return file


def environment(folder: Path, archive: Path, *, with_dependencies: bool = True) -> Path:
    """Install an archive into a new environment in `folder`; return the folder of its programs.

    What Peep depends on is taken from the environment of the tests, not fetched.
    """
    venv.create(folder, symlinks=True)
    programs = folder / "bin"
    if with_dependencies:
        (library,) = folder.glob("lib/python*/site-packages")
        # A .pth file in there, such as that which leads to the checkout, is not read.
        (library / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = (sys.executable, "-m", "pip", "--python", programs / "python", "--quiet", "install")
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed")
    subprocess.run((*pip, *options, archive), cwd=folder, check=True, timeout=SECONDS)
    return programs


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def programs(built: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp(request.param), file_of(built, request.param))


def test_two_builds_in_two_folders_are_the_same_to_the_octet(built: Path, tmp_path: Path) -> None:
    """The second one is of what the sdist holds."""
    subprocess.run(("tar", "-xf", file_of(built, "sdist")), cwd=tmp_path, check=True, timeout=SECONDS)
    again = build(tmp_path / f"peep-{VERSION}", tmp_path / "dist")
    assert again == {file.name: file.read_bytes() for file in built.iterdir()}


def test_the_wheel_holds_all_files_of_our_packages_and_nothing_else(built: Path) -> None:
    held = set(zipfile.ZipFile(file_of(built, "wheel")).namelist())
    ours = {
        file.relative_to(ROOT / folder).as_posix()
        for folder in OUR_FOLDERS
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".c"
    }
    described = {
        f"peep-{VERSION}.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")
    }
    assert held == ours | described | {f"peep-{VERSION}.dist-info/licenses/LICENSE"}
    assert {"pop3_service/maildir/_wire.abi3.so", "state_store/redis/scripts/exchange.lua"} < held


def test_the_sdist_holds_what_the_wheel_is_built_from_and_nothing_else(built: Path) -> None:
    with tarfile.open(file_of(built, "sdist")) as archive:
        held = {PurePosixPath(name).parts[1:] for name in archive.getnames()}
    assert {parts[0] for parts in held if len(parts) > 1} == set(OUR_FOLDERS)
    assert {parts[0] for parts in held if len(parts) == 1} == {
        *("pyproject.toml", "hatch_build.py", "PKG-INFO", ".gitignore"),
        *("README.md", "CHANGELOG.md", "LICENSE"),
    }
    assert not [parts for parts in held if parts[-1].endswith((".so", ".pyc"))]


def test_each_program_says_its_version(programs: Path, tmp_path: Path) -> None:
    for name in PROGRAMS:
        said = subprocess.check_output(
            (programs / name, "--version"), cwd=tmp_path, text=True, timeout=SECONDS
        )
        assert re.fullmatch(rf"(Peep|peepctl) {re.escape(VERSION)}\n", said)


def test_a_whole_system_serves_from_the_installed_files(programs: Path, tmp_path: Path) -> None:
    python = (programs / "python", "-c", WHERE_FROM)
    *files, wire = subprocess.check_output(python, cwd=tmp_path, text=True, timeout=SECONDS).split()
    assert all(Path(file).is_relative_to(programs.parent) for file in files)
    assert wire == "pop3_service.maildir._wire"
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    up = Up(tmp_path, path, [programs / "peepctl"], cwd=tmp_path)
    try:
        client = up.ready().log_in()
        assert up.lines["ready"].endswith(" or peepctl top")
        assert client.retr(1)[1]
        client.quit()
        assert "<title>" in httpx.get(f"{up.lines['http']}/", timeout=SECONDS).text
        exit_code, _ = up.stop()
    finally:
        up.clean_up()
    assert exit_code == 0, up.errors.read_text()


def test_peepctl_without_its_packages_says_what_brings_them(built: Path, tmp_path: Path) -> None:
    programs = environment(tmp_path / "bare", file_of(built, "wheel"), with_dependencies=False)
    done = subprocess.run(
        (programs / "peepctl",), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.endswith("pip install 'peep[peepctl]'")
