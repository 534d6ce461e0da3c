"""`make release`: what is published of a version, made from the last commit into dist/.

That is the wheel, the sdist, the chart's archive, the bill of materials, and SHA256SUMS of these. The same
commit gives the same octets in any folder at any time, with the same Python, C compiler and helm.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
BILL_OF_MATERIALS = ROOT / "build" / "sbom.cdx.json"
"""`make sbom` writes it."""

KINDS = {".whl": "wheel", ".tar.gz": "sdist", ".tgz": "Helm chart", ".cdx.json": "bill of materials"}


class NotReleasable(Exception):
    """Something is to be done before this version can be released; the text is one line that says what."""


def main() -> int:
    """Make dist/ anew and print what is in it; return the exit code."""
    parser = argparse.ArgumentParser(description="Build what is published of a version, into dist/.")
    parser.add_argument("--helm", required=True, help="the program")
    helm = os.path.abspath(parser.parse_args().helm)
    try:
        version = version_to_release()
        with tempfile.TemporaryDirectory() as folder:
            built = build(Path(folder), helm)
            shutil.copyfile(BILL_OF_MATERIALS, built / f"peep-{version}.cdx.json")
            write_sums(built)
            shutil.rmtree(ROOT / "dist", ignore_errors=True)
            shutil.move(built, ROOT / "dist")
    except NotReleasable as reason:
        print(f"no release: {reason}", file=sys.stderr)
        return 1
    for file in sorted((ROOT / "dist").iterdir()):
        what = next((kind for ending, kind in KINDS.items() if file.name.endswith(ending)), "checksums")
        print(f"{file.stat().st_size:>10,} octets  {what:<17}  dist/{file.name}")
    return 0


def version_to_release() -> str:
    """Return the version; raise `NotReleasable` if something is not committed, or not of this version."""
    if changed := _output("git", "status", "--porcelain").decode().splitlines():
        raise NotReleasable(f"commit or remove what no commit has: {', '.join(line[3:] for line in changed)}")
    version = str(tomllib.loads(_text("pyproject.toml"))["project"]["version"])
    if not re.search(rf"^## {re.escape(version)}(?![\w.])", _text("CHANGELOG.md"), re.MULTILINE):
        raise NotReleasable(
            f'CHANGELOG.md has no heading "## {version}" (as pyproject.toml says): write what it changes'
        )
    chart = _text("deploy/chart/Chart.yaml")
    if set(re.findall(r"^(?:appVersion|version): (\S+)$", chart, re.MULTILINE)) != {version}:
        raise NotReleasable(f"deploy/chart/Chart.yaml needs {version}, the version of pyproject.toml, twice")
    return version


def build(folder: Path, helm: str) -> Path:
    """Build wheel, sdist and the chart's archive below `folder`; return the folder that holds just these."""
    # Apart from the checkout, so that no file gets in that git ignores there.
    source, built = folder / "source", folder / "dist"
    source.mkdir()
    subprocess.run(("tar", "-x"), cwd=source, input=_output("git", "archive", "HEAD"), check=True)
    dated = {**os.environ, "SOURCE_DATE_EPOCH": _output("git", "log", "-1", "--format=%ct").decode().strip()}
    for command in (
        [sys.executable, "-m", "hatchling", "build", "--directory", str(built)],
        [helm, "package", "deploy/chart", "--destination", str(built)],
    ):
        done = subprocess.run(command, cwd=source, env=dated, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NotReleasable(f"`{' '.join(command)}` fails:\n{done.stdout}{done.stderr}")
    if not list(built.glob("*-abi3-*.whl")):
        raise NotReleasable("the module in C is not in the wheel: install a C compiler and Python's headers")
    return built


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of all files in `folder`, for `sha256sum --check`."""
    sums = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(folder.iterdir())
    ]
    (folder / "SHA256SUMS").write_text("".join(sums), "utf-8")


def _text(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def _output(*command: str) -> bytes:
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
