#!/usr/bin/env python3
"""Measure Peep beside other POP3 servers, on this machine.

    bench.py [--quick | --no-publish] [--go-on] [--but-restless] [--only SECTION ...]
             [--rounds N] [--seconds N] [--output FOLDER]

Linux with two cores; the whole of it takes about 25 minutes. What it finds goes into build/benchmarks part by
part, also when it is interrupted, and at the end from there into the output folder: results.json, pictures,
and the tables of README.md. It is not published when the medians of early, middle and late rounds of a row
with a goal spread over more than a tenth: then something else ran on the machine. `--go-on` then measures
these rows anew, and what an interrupted run lacks; `--but-restless` publishes the others.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

import administrators
import comparison
import idle_sessions
import load
import machine
import packages
from interpreter import is_optimised
from load import LoadError
from machine import MachineError
from progress import Progress
from ratios import LARGEST_SPREAD
from report import Report
from sections import Options, Section, SectionResult
from servers import ServerError
from studies import growth, large_maildrop, large_message, restart_storm

SECTIONS: list[Section] = [
    comparison.SECTION,
    large_message.SECTION,
    idle_sessions.SECTION,
    large_maildrop.SECTION,
    growth.SECTION,
    restart_storm.SECTION,
    administrators.SECTION,
]
"""All sections, in the order of the report."""

_PROJECT = Path(__file__).parent.parent
OUTPUT = _PROJECT / "docs" / "benchmarks"
_UNPUBLISHED = _PROJECT / "build" / "benchmarks"
_QUICK = (2, 1.5)
_THOROUGH = (9, 1.0)


def main() -> None:
    """Run the command line."""
    given = _arguments()
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell's background jobs start with SIGINT ignored
        signal.signal(number, _interrupt)
    try:
        machine.require()
        machine.raise_file_limit()
        with tempfile.TemporaryDirectory(prefix="peep-bench-", ignore_cleanup_errors=True) as folder:
            # Servers that drop their privileges need access to their mail.
            Path(folder).chmod(0o755)
            _measure(given, Path(folder))
    except (MachineError, LoadError, ServerError) as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(
            f"bench: interrupted; every process that it started has ended; what it has is in {_UNPUBLISHED}"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Peep beside other POP3 servers.")
    names = [section.name for section in SECTIONS]
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="SECTION", help=", ".join(names)
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds, to try it: not published"
    )
    parser.add_argument(
        "--no-publish",
        action="store_true",
        help="leave the results in build/benchmarks, however quiet it was",
    )
    parser.add_argument(
        "--go-on",
        action="store_true",
        help="keep what today's runs on this machine have left in build/benchmarks, but for restless rows",
    )
    parser.add_argument(
        "--but-restless",
        action="store_true",
        help="publish although rows are restless: the table says so of each, and has no ratio for it",
    )
    parser.add_argument("--rounds", type=int, help="rounds of each measurement (9)")
    parser.add_argument("--seconds", type=float, help="how long a round lasts (1)")
    parser.add_argument("--storm-users", type=int, help="who log in after the restart (10000)")
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, help="where the results are published (docs/benchmarks)"
    )
    return parser.parse_args()


def _measure(given: argparse.Namespace, folder: Path) -> None:
    options = _options(given, folder)
    options.programs.mkdir()
    if not is_optimised():
        options.progress.say(
            "this Python is built without profile-guided optimisation: it costs Peep a tenth"
        )
    packages.provide(options.programs, options.progress)
    load.build(options.programs)
    about = machine.description(packages.unpacked_versions(options.programs))
    if given.output.exists() and not given.go_on:
        shutil.copytree(given.output, _UNPUBLISHED, dirs_exist_ok=True)
    report = Report(_UNPUBLISHED, [section.name for section in SECTIONS])
    for section in SECTIONS:
        if section.name not in given.only or (given.go_on and report.is_settled(section.name, about)):
            continue
        options.progress.begin(section.name)
        options.folder.mkdir()
        earlier = report.earlier(section.name, about) if given.go_on else {}
        keep = partial(_keep, report, about, section)
        try:
            found = section.measure(replace(options, earlier=earlier, keep=partial(keep, is_whole=False)))
            keep(found, is_whole=True)
        finally:
            shutil.rmtree(options.folder, ignore_errors=True)
    _publish(given, report)


def _keep(
    report: Report, about: list[str], section: Section, found: SectionResult, *, is_whole: bool
) -> None:
    report.add(section, found, about, is_whole=is_whole)
    report.write()
    report.draw()


def _publish(given: argparse.Namespace, report: Report) -> None:
    is_kept_back = given.quick or given.no_publish
    restless = report.restless(given.only)
    if restless and not (is_kept_back or given.but_restless):
        sys.exit(
            f"bench: not published: rounds spread over more than {LARGEST_SPREAD:.0%}, so it was busy:\n"
            + "".join(f"  {row}\n" for row in restless)
            + f"the results are in {_UNPUBLISHED}; --go-on measures these rows anew, and keeps the rest"
        )
    if not is_kept_back:
        shutil.copytree(_UNPUBLISHED, given.output, dirs_exist_ok=True)
    place = _UNPUBLISHED if is_kept_back else given.output
    print(f"bench: results are in {place}", file=sys.stderr)


def _options(given: argparse.Namespace, folder: Path) -> Options:
    rounds, seconds = _QUICK if given.quick else _THOROUGH
    server_core, load_core = machine.cores()
    options = Options(
        folder / "section",
        rounds,
        seconds,
        given.quick,
        folder / "programs",
        Progress(),
        server_core,
        load_core,
    )
    return replace(
        options,
        rounds=given.rounds or rounds,
        seconds=given.seconds or seconds,
        storm_users=given.storm_users or options.storm_users,
    )


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
