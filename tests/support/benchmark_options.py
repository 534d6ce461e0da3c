"""Means of the benchmarks, for tests that measure with them."""

from pathlib import Path

import load
import machine
from machine import MachineError
from progress import Progress
from sections import Options
from support.clients import lack, require


def benchmark_options(folder: Path, rounds: int, seconds: float) -> Options:
    """Return options with the load generator built below `folder`; skip where it cannot be used."""
    require("cc")
    try:
        machine.require()
    except MachineError as error:
        lack(str(error))
    programs, site = folder / "programs", folder / "site"
    programs.mkdir()
    site.mkdir()
    load.build(programs)
    return Options(site, rounds, seconds, True, programs, Progress(), *machine.cores())
