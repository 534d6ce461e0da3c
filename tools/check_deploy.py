"""`make check-deploy`: checks of the chart, the kustomizations and the Dockerfile, without a cluster.

Every check runs, the output of each tool that fails is shown, and the exit code is 1 if one failed.
"""

import filecmp
import functools
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import kubernetes_validate.utils as kubernetes_schemas

import kustomize_base
from rendered import CHART, ROOT, RenderingFailed, Resource, chart, kustomization, program, resources

KUBERNETES_VERSIONS = ("1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37")

KUSTOMIZATIONS = ("base", "overlays/trial", "overlays/production")

RULES = ROOT / "deploy" / "monitoring" / "alerts.yml"

# Kinds of the Prometheus operator, which no version of Kubernetes has a schema of.
_CUSTOM_RESOURCES = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
}

_TOOL_SECONDS = 300


class CheckFailed(Exception):
    """A check failed; the text says why."""


def main() -> int:
    """Run all checks; return the exit code."""
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name, check in _checks(Path(folder)):
            print(f"{name} ...", flush=True)
            began = time.monotonic()
            try:
                check()
            except (CheckFailed, RenderingFailed) as failure:
                failed.append(name)
                print(f"{failure}\nFAILED: {name}", flush=True)
            else:
                print(f"    passed ({time.monotonic() - began:.1f} s)", flush=True)
    if failed:
        print(f"{len(failed)} checks failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


Check = tuple[str, Callable[[], None]]


def _checks(folder: Path) -> Iterator[Check]:
    """Yield the checks in order; those that render leave a file in `folder` for the later ones."""
    yield from _renderings(folder)
    for version in KUBERNETES_VERSIONS:
        yield f"kubernetes-validate --strict: {version}", functools.partial(_validate, folder, version)
    yield "the chart's alerts are those of deploy/monitoring", _rules_are_the_same
    yield "hadolint: Dockerfile", functools.partial(_run, program("hadolint"), "Dockerfile")
    yield "trivy config: all of these, and the Dockerfile", functools.partial(_scan, folder)
    if shutil.which("docker"):
        yield from _compositions()
    else:
        print("skipped: docker compose config (there is no docker command)")


def _renderings(folder: Path) -> Iterator[Check]:
    for values in sorted((CHART / "ci").glob("*.yaml")):
        yield f"helm lint: {values.name}", functools.partial(_lint, values)
        source = functools.partial(chart, [values])
        target = folder / f"chart-{values.name}"
        yield f"helm template: {values.name}", functools.partial(_render, target, source)
    yield "the kustomize base is up to date with the chart", _base_is_current
    for name in KUSTOMIZATIONS:
        source = functools.partial(kustomization, kustomize_base.FOLDER / name)
        target = folder / f"kustomize-{name.replace('/', '-')}.yaml"
        yield f"kubectl kustomize: {name}", functools.partial(_render, target, source)


def _compositions() -> Iterator[Check]:
    for overlay in (None, *sorted(path.name for path in ROOT.glob("compose.*.yml"))):
        files = ["--file=docker-compose.yml", *([f"--file={overlay}"] if overlay else [])]
        command = ["docker", "compose", *files, "config", "--quiet"]
        yield " ".join(command[:-1]), functools.partial(_run, *command)


def _lint(values: Path) -> None:
    _run(program("helm"), "lint", "--strict", "--quiet", str(CHART), f"--values={values}")


def _render(target: Path, render: Callable[[], str]) -> None:
    text = render()
    if not resources(text):
        raise CheckFailed("nothing was rendered")
    target.write_text(text, encoding="utf-8")


def _base_is_current() -> None:
    _run(sys.executable, str(ROOT / "tools" / "kustomize_base.py"), "--check")


def _validate(folder: Path, version: str) -> None:
    # Without this the package reads a schema of half a megabyte for every object.
    kubernetes_schemas.schema_contents = functools.cache(kubernetes_schemas.schema_contents)
    faults = [
        f"{file.name}: {_name(resource)}: {fault}"
        for file in sorted(folder.glob("*.yaml"))
        for resource in resources(file.read_text(encoding="utf-8"))
        if (fault := _fault(resource, version))
    ]
    if faults:
        raise CheckFailed("\n".join(faults))


def _fault(resource: Resource, version: str) -> str:
    """Return why this version of Kubernetes would refuse the resource, empty if it would accept it."""
    if (resource["apiVersion"], resource["kind"]) in _CUSTOM_RESOURCES:
        return ""
    try:
        used = kubernetes_schemas.validate(resource, version, strict=True)
    except kubernetes_schemas.SchemaNotFoundError as error:
        return str(error.message)
    except kubernetes_schemas.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    # The package falls back to the newest schema that is older than the requested one.
    return "" if used == version else f"there is no schema of {version}, {used} was used"


def _rules_are_the_same() -> None:
    copy = CHART / "files" / "alerts.yml"
    if not RULES.exists():
        raise CheckFailed(f"{RULES.relative_to(ROOT)} is missing")
    if not filecmp.cmp(RULES, copy, shallow=False):
        raise CheckFailed(f"copy {RULES.relative_to(ROOT)} to {copy.relative_to(ROOT)}: they differ")


def _scan(folder: Path) -> None:
    shutil.copy(ROOT / "Dockerfile", folder)
    options = ("--skip-check-update", "--quiet", "--severity=HIGH,CRITICAL", "--exit-code=1")
    _run(program("trivy"), "config", *options, str(folder))


def _run(*command: str) -> None:
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TOOL_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise CheckFailed(
            done.stdout.rstrip() or f"{command[0]} ended with exit code {done.returncode} and no output"
        )


def _name(resource: Resource) -> str:
    return f"{resource['kind']} {resource['metadata']['name']}"


if __name__ == "__main__":
    sys.exit(main())
