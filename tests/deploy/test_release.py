"""`make release`: the same octets from the same commit, and nothing from a checkout that is not ready."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service_runtime import VERSION
from support.manifests import ROOT, TOOLS, require_tools

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")

SECONDS = 60
BILL = '{"bomFormat": "CycloneDX"}'
COMMITTED = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (
            ("NAME", "tests"),
            ("EMAIL", "tests@example.org"),
            ("DATE", "2026-11-01T00:00:00Z"),
        )
    },
}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints."""
    command = ("git", *arguments)
    return subprocess.check_output(
        command, cwd=folder, env=os.environ | COMMITTED, text=True, timeout=SECONDS
    )


def checkout(folder: Path) -> Path:
    """Make a repository of the files here."""
    for name in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")[:-1]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "build").mkdir()
    (folder / "build" / "sbom.cdx.json").write_text(BILL)
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a version")


def release(folder: Path) -> "subprocess.CompletedProcess[str]":
    require_tools()
    command = (sys.executable, folder / "tools" / "release.py", "--helm", TOOLS / "helm")
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)


def test_a_commit_gives_the_same_files_in_another_folder(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        folder = checkout(tmp_path / name)
        (folder / "peepctl" / "peepctl" / "ignored.abi3.so").touch()
        done = release(folder)
        assert (done.returncode, done.stderr) == (0, "")
        dist = folder / "dist"
        subprocess.run(
            ("sha256sum", "--check", "--quiet", "SHA256SUMS"), cwd=dist, check=True, timeout=SECONDS
        )
        assert [line.split("dist/")[1] for line in done.stdout.splitlines()] == sorted(os.listdir(dist))
        made.append({file.name: file.read_bytes() for file in dist.iterdir()})
    assert made[0] == made[1]
    assert {name.replace(VERSION, "V") for name in made[0]} == {
        "SHA256SUMS",
        f"peep-V-cp311-abi3-linux_{platform.machine()}.whl",
        "peep-V.cdx.json",
        "peep-V.tar.gz",
        "peep-V.tgz",
    }


def test_a_checkout_that_is_not_ready_says_what_is_to_be_done(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    (folder / "peepctl" / "peepctl" / "new.py").touch()
    assert (
        release(folder).stderr == "no release: commit or remove what no commit has: peepctl/peepctl/new.py\n"
    )
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace(f'"{VERSION}"', '"0.99.0"'))
    commit(folder)
    assert release(folder).stderr.startswith('no release: CHANGELOG.md has no heading "## 0.99.0" ')
    changes = folder / "CHANGELOG.md"
    changes.write_text(changes.read_text().replace(f"## {VERSION}", "## 0.99.0"))
    commit(folder)
    done = release(folder)
    assert done.stderr.startswith("no release: deploy/chart/Chart.yaml needs 0.99.0")
    assert (done.returncode, done.stdout, (folder / "dist").exists()) == (1, "", False)
