"""The units of deploy/systemd, as systemd itself reads and judges them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "deploy/systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
HIGHEST_EXPOSURE = "20"
"""In tenths: `OK` begins at 1.0, and `MEDIUM` at 5.0."""

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def analyze(*arguments: str) -> tuple[int, str]:
    """Return the exit code of systemd-analyze, and all that it says."""
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout


def test_systemd_understands_every_line_of_every_unit(tmp_path: Path) -> None:
    for unit in UNITS.iterdir():
        # The package installs the programs; here any that is there will do.
        text = re.sub(
            r"(?<=^ExecStart=)/usr/lib/peep/bin/\S+", sys.executable, unit.read_text(), flags=re.MULTILINE
        )
        (tmp_path / unit.name).write_text(text)
    assert analyze("verify", *map(str, sorted(tmp_path.iterdir()))) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_is_broken_into_can_do_little(service: str) -> None:
    code, said = analyze(
        "security", "--offline=true", f"--threshold={HIGHEST_EXPOSURE}", str(UNITS / service)
    )
    assert code == 0, said
    assert "Overall exposure level" in said


def test_no_service_may_do_more_than_the_others() -> None:
    def confinement(service: str) -> list[str]:
        _, _, lines = (UNITS / service).read_text().partition("\nCapabilityBoundingSet=")
        return lines.splitlines()

    assert len(SERVICES) == 3
    first, *others = map(confinement, SERVICES)
    assert len(first) > 20
    assert others == [first, first]


def test_sockets_that_two_services_have_stay_as_event_loops_need_them() -> None:
    # Without this line, starting one of them makes accept(2) of the other one wait for ever.
    for service in SERVICES:
        assert re.search(r"(?m)^Sockets=.*(\n#.*)*\nNonBlocking=yes$", (UNITS / service).read_text()), service
