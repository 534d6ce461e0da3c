"""hatch_build.py: the module is compiled when its source is another one, or the reason is said in a line."""

import os
import shutil
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

from support.maildir_files import ordinary_user
from support.modules import executed

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "pop3-service" / "pop3_service" / "maildir" / "_wire.c"
FROM_BEFORE = b"a module of another source"


def build_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return hatch_build.py for a copy of the source that is older than every file made from now on."""
    build = executed(ROOT / "hatch_build.py")
    shutil.copy(SOURCE, folder)
    os.utime(folder / "_wire.c", (1, 1))
    monkeypatch.setattr(build, "_SOURCE", folder / "_wire.c")
    monkeypatch.setattr(build, "_MODULE", folder / "_wire.abi3.so")
    return build


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return build_of(tmp_path, monkeypatch)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    return tmp_path / "_wire.abi3.so"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
def test_a_module_of_another_source_is_compiled_anew_whatever_its_date(
    build: ModuleType, module: Path
) -> None:
    module.write_bytes(FROM_BEFORE)
    assert build.why_not_compiled() == ""
    compiled, content = module.stat().st_mtime_ns, module.read_bytes()
    assert content.startswith(b"\x7fELF")
    assert build.why_not_compiled() == ""
    assert module.stat().st_mtime_ns == compiled, "it was compiled again, for nothing"
    with build._SOURCE.open("a") as source:
        source.write("/* a change */\n")
    os.utime(build._SOURCE, (1, 1))
    assert build.why_not_compiled() == ""
    assert module.read_bytes() != content
    assert sorted(path.name for path in module.parent.iterdir()) == ["_wire.abi3.so", "_wire.c"]


def test_without_a_compiler_nothing_is_left_of_another_source(
    build: ModuleType, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module.write_bytes(FROM_BEFORE)
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: "no-such-compiler -shared")
    why = build.why_not_compiled()
    assert why.startswith(
        "there is no C compiler (No such file or directory: no-such-compiler); a C compiler"
    )
    assert not module.exists()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
def test_the_compiler_s_first_error_is_the_reason(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: "/nowhere")
    assert (
        "Python.h: No such file or directory; a C compiler and Python's headers" in build.why_not_compiled()
    )


def test_on_another_system_no_compiler_is_asked_for(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert build.why_not_compiled() == "it uses what only Linux has"


def test_a_folder_that_cannot_be_written_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with ordinary_user() as folder:
        build = build_of(folder, monkeypatch)
        (folder / "_wire.abi3.so").write_bytes(FROM_BEFORE)
        folder.chmod(0o500)
        assert build.why_not_compiled() == f"{folder} cannot be written"
        folder.chmod(0o700)
