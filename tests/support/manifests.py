"""What the chart and the kustomizations come to, rendered by the tools of `make check-deploy`."""

import functools
import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "chart"
TOOLS = ROOT / ".venv-deploy" / "bin"

Resource = dict[str, Any]

CLUSTER_DEFAULTS = {"periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3}
"""Of a probe, where its manifest says nothing."""


def require_tools() -> None:
    """Skip the test where the tools are missing; fail it where containers, and so they, are obligatory."""
    if (TOOLS / "helm").exists():
        return
    reason = "the tools that render manifests are missing: `make check-deploy` installs them"
    if os.environ.get("PEEP_REQUIRE_ENGINE"):
        pytest.fail(f"PEEP_REQUIRE_ENGINE is set, and {reason}")
    pytest.skip(reason)


@functools.cache
def render(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run tools/rendered.py and return how it ended; what was rendered once is kept."""
    require_tools()
    command = [TOOLS / "python", ROOT / "tools" / "rendered.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def rendered(*arguments: str | Path) -> list[Resource]:
    """Return the objects that tools/rendered.py gives; fail the test when there are none."""
    done = render(*arguments)
    assert done.returncode == 0, done.stderr
    objects: list[Resource] = json.loads(done.stdout)
    return objects


def chart(*values: Path, **settings: object) -> list[Resource]:
    """Return the chart's objects; a setting's name has two underscores in place of each dot."""
    given = [f"--set={name.replace('__', '.')}={value}" for name, value in settings.items()]
    return rendered("chart", *values, *given)


def of_kind(resources: Iterable[Resource], *kinds: str) -> list[Resource]:
    """Return the objects of these kinds."""
    return [resource for resource in resources if resource["kind"] in kinds]


def named(resources: Iterable[Resource], kind: str, name: str) -> Resource:
    """Return the one object of this kind and name."""
    (found,) = (one for one in of_kind(resources, kind) if one["metadata"]["name"] == name)
    return found


def data_of(secret: Resource) -> dict[str, str]:
    """Return what a ConfigMap or a Secret of ours holds."""
    data: dict[str, str] = secret.get("stringData") or secret.get("data") or {}
    return data
