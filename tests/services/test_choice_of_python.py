"""Which Python `make` takes for the environment: stand-ins on PATH that tell how they were built."""

import os
import subprocess
from pathlib import Path

import pytest

from support.clients import require

ROOT = Path(__file__).parents[2]
OPTIMISED, SUITABLE, UNSUITABLE = 0, 3, 1

STAND_IN = """#!/bin/sh
case $1 in
  benchmarks/interpreter.py) exit {fitness} ;;
  --version) echo 'Python 3.99' ;;
  *) mkdir -p "$3" ;;
esac
"""


@pytest.fixture
def pythons(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def make(pythons: Path, *settings: str) -> "subprocess.CompletedProcess[str]":
    """Make an environment beside the stand-ins, with nothing else on PATH that is called Python 3."""
    require("make")
    venv = pythons.parent / "venv"
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
        if not (pythons / name).exists():
            add(pythons, name, UNSUITABLE)
    return subprocess.run(
        ["make", "--no-print-directory", f"{venv}/.made", f"VENV={venv}", *settings],
        cwd=ROOT,
        env={"PATH": f"{pythons}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def add(pythons: Path, name: str, fitness: int) -> None:
    file = pythons / name
    file.write_text(STAND_IN.format(fitness=fitness))
    file.chmod(0o755)


def test_first_optimised_one_is_taken_where_python3_is_none(pythons: Path) -> None:
    add(pythons, "python3", SUITABLE)
    add(pythons, "python3.13", OPTIMISED)
    add(pythons, "python3.12", OPTIMISED)
    assert "is made with python3.13 (Python 3.99)" in make(pythons).stdout


def test_python3_is_taken_where_it_is_optimised(pythons: Path) -> None:
    add(pythons, "python3", OPTIMISED)
    add(pythons, "python3.14", OPTIMISED)
    assert "is made with python3 (" in make(pythons).stdout


@pytest.mark.parametrize("name", ["python3", "python3.12"])
def test_one_that_was_asked_for_is_taken_beside_optimised_ones(pythons: Path, name: str) -> None:
    add(pythons, "python3.14", OPTIMISED)
    add(pythons, name, SUITABLE)
    assert f"is made with {name} (" in make(pythons, f"PYTHON={name}").stdout


def test_one_that_was_asked_for_and_does_not_do_is_named(pythons: Path) -> None:
    add(pythons, "python3", OPTIMISED)
    done = make(pythons, "PYTHON=python3.11")
    assert done.returncode != 0
    assert '"python3.11" is none' in done.stdout
    assert not (pythons.parent / "venv").exists()
