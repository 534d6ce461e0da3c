"""Write the kustomize base, and the Redis of the trial overlay, from the chart.

So every manifest has one source. Metadata for Helm alone are left out, and so are Secrets: the overlays
expect them to exist. With `--check` nothing is changed, and the exit code is 1 if a file differs.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from generated import renew
from rendered import ROOT, Resource, chart, resources

FOLDER = ROOT / "deploy" / "kubernetes"
VALUES = FOLDER / "base" / "chart-values.yaml"
BASE = FOLDER / "base" / "peep.yaml"
REDIS = FOLDER / "overlays" / "trial" / "redis.yaml"

HEAD = "# Written by `make manifests` from deploy/chart with deploy/kubernetes/base/chart-values.yaml.\n"

_HELM_METADATA = (
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
    "helm.sh/resource-policy",
    "checksum/settings",
)


def files() -> dict[Path, str]:
    """Return the content of each written file."""
    wanted = [resource for resource in resources(chart([VALUES])) if resource["kind"] != "Secret"]
    for resource in wanted:
        _remove_helm_metadata(resource)
    return {
        BASE: _yaml(resource for resource in wanted if not _is_redis(resource)),
        REDIS: _yaml(resource for resource in wanted if _is_redis(resource)),
    }


def main() -> int:
    """Renew or check the files; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the kustomize base from the chart.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a file differs")
    return renew(files(), only_check=parser.parse_args().check, remedy="`make manifests`")


def _is_redis(resource: Resource) -> bool:
    return bool(resource["metadata"]["labels"].get("app.kubernetes.io/component") == "redis")


def _remove_helm_metadata(resource: Resource) -> None:
    metadata = [resource["metadata"], resource.get("spec", {}).get("template", {}).get("metadata", {})]
    for place in metadata:
        for kind in ("labels", "annotations"):
            for name in _HELM_METADATA:
                place.get(kind, {}).pop(name, None)
            if not place.get(kind, True):
                del place[kind]


def _yaml(wanted: Iterable[Resource]) -> str:
    text: str = yaml.safe_dump_all(wanted, sort_keys=False)
    return HEAD + text


if __name__ == "__main__":
    sys.exit(main())
