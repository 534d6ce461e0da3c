"""Render the chart and the kustomizations: the objects that a cluster would get.

    python tools/rendered.py chart [VALUES.yaml ...] [--set NAME=VALUE ...]
    python tools/rendered.py kustomize FOLDER

prints them as JSON. Runs in the environment of `make check-deploy`, which has helm, kubectl and PyYAML.
"""

import argparse
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
CHART = ROOT / "deploy" / "chart"
RELEASE = "peep"
NAMESPACE = "mail"

Resource = dict[str, Any]


class RenderingFailed(Exception):
    """A tool did not render; the text is its output."""


def program(name: str) -> str:
    """Return the path of a program beside this interpreter."""
    return os.path.join(sysconfig.get_path("scripts"), name)


def chart(values: Sequence[Path] = (), settings: Sequence[str] = ()) -> str:
    """Return the chart's objects as YAML; raise `RenderingFailed` if helm fails."""
    options = [f"--values={path}" for path in values] + [f"--set={setting}" for setting in settings]
    return _output(program("helm"), "template", RELEASE, str(CHART), f"--namespace={NAMESPACE}", *options)


def kustomization(folder: Path) -> str:
    """Return a kustomization's objects as YAML; raise `RenderingFailed` if kubectl fails."""
    return _output(program("kubectl"), "kustomize", str(folder))


def resources(text: str) -> list[Resource]:
    """Return the objects of a YAML text."""
    return [resource for resource in yaml.safe_load_all(text) if resource]


def main() -> int:
    """Print the objects that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(description="Print the objects that a cluster would get, as JSON.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    of_chart = kinds.add_parser("chart")
    of_chart.add_argument("values", nargs="*", type=Path)
    of_chart.add_argument("--set", dest="settings", action="append", default=[])
    of_kustomization = kinds.add_parser("kustomize")
    of_kustomization.add_argument("folder", type=Path)
    options = parser.parse_args()
    try:
        if options.kind == "chart":
            text = chart(options.values, options.settings)
        else:
            text = kustomization(options.folder)
    except RenderingFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    json.dump(resources(text), sys.stdout)
    return 0


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise RenderingFailed(done.stderr.strip())
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
