"""Write the kustomize base, and the Redis of the trial overlay, from the chart.

So there is one source of every manifest. What only means something to Helm is left out, and so are Secrets:
the overlays expect them to exist. With `--check` nothing is changed, and the exit code is 1 when they differ.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from rendered import ROOT, Resource, chart, resources

FOLDER = ROOT / "deploy" / "kubernetes"
VALUES = FOLDER / "base" / "chart-values.yaml"
BASE = FOLDER / "base" / "peep.yaml"
REDIS = FOLDER / "overlays" / "trial" / "redis.yaml"

HEAD = "# Written by `make manifests` from deploy/chart with deploy/kubernetes/base/chart-values.yaml.\n"

_ONLY_HELMS = (
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
    "helm.sh/resource-policy",
    "checksum/settings",
)


def files() -> dict[Path, str]:
    """Return what each written file has to hold."""
    wanted = [resource for resource in resources(chart([VALUES])) if resource["kind"] != "Secret"]
    for resource in wanted:
        _remove_what_is_helms(resource)
    return {
        BASE: _yaml(resource for resource in wanted if not _is_redis(resource)),
        REDIS: _yaml(resource for resource in wanted if _is_redis(resource)),
    }


def main() -> int:
    """Renew or check the files; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the kustomize base from the chart.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when files differ")
    options = parser.parse_args()
    wanted = files()
    outdated = [path for path in wanted if not path.exists() or path.read_text() != wanted[path]]
    for path in outdated:
        if options.check:
            print(
                f"{path.relative_to(ROOT)} is not what the chart says: run `make manifests`", file=sys.stderr
            )
        else:
            path.write_text(wanted[path], encoding="utf-8")
    return 1 if outdated and options.check else 0


def _is_redis(resource: Resource) -> bool:
    return bool(resource["metadata"]["labels"].get("app.kubernetes.io/component") == "redis")


def _remove_what_is_helms(resource: Resource) -> None:
    metadata = [resource["metadata"], resource.get("spec", {}).get("template", {}).get("metadata", {})]
    for place in metadata:
        for kind in ("labels", "annotations"):
            for name in _ONLY_HELMS:
                place.get(kind, {}).pop(name, None)
            if not place.get(kind, True):
                del place[kind]


def _yaml(wanted: Iterable[Resource]) -> str:
    text: str = yaml.safe_dump_all(wanted, sort_keys=False)
    return HEAD + text


if __name__ == "__main__":
    sys.exit(main())
