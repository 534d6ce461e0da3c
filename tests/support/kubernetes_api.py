"""As much of a Kubernetes API server as `helm template --dry-run=server` asks: kinds, and what there is."""

import base64
import http.server
import json
import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from support.manifests import CHART, TOOLS, require_tools

RELEASE, NAMESPACE = "peep", "mail"

# Group and version to (plural, kind): what the chart makes.
_KINDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "v1": (
        ("configmaps", "ConfigMap"),
        ("persistentvolumeclaims", "PersistentVolumeClaim"),
        ("secrets", "Secret"),
        ("services", "Service"),
    ),
    "apps/v1": (("deployments", "Deployment"), ("statefulsets", "StatefulSet")),
    "networking.k8s.io/v1": (("networkpolicies", "NetworkPolicy"),),
    "policy/v1": (("poddisruptionbudgets", "PodDisruptionBudget"),),
}


class KubernetesApi:
    """Serves on a free port of the loopback, and holds objects of a release: `secrets/NAME` to content."""

    def __init__(self, held: Mapping[str, Mapping[str, Any]]) -> None:
        folder = f"/api/v1/namespaces/{NAMESPACE}"
        answers = {**_discovery(), **{f"{folder}/{path}": _object(path, held[path]) for path in held}}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = answers.get(self.path.partition("?")[0])
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(found or _NOT_FOUND).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


_NOT_FOUND = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


def _discovery() -> dict[str, Any]:
    groups = [_group(version) for version in _KINDS if "/" in version]
    return {
        "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        **{_path(version): _kinds(version) for version in _KINDS},
    }


def _path(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _group(version: str) -> dict[str, Any]:
    named = {"groupVersion": version, "version": version.rpartition("/")[2]}
    return {"name": version.partition("/")[0], "versions": [named], "preferredVersion": named}


def _kinds(version: str) -> dict[str, Any]:
    resources = [
        {"name": plural, "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get", "list"]}
        for plural, kind in _KINDS[version]
    ]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}


def _object(path: str, content: Mapping[str, Any]) -> dict[str, Any]:
    plural, _, name = path.partition("/")
    owner = {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NAMESPACE}
    metadata = {"name": name, "labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": owner}
    return {"apiVersion": "v1", "kind": dict(_KINDS["v1"])[plural], "metadata": metadata, **content}


def secret(data: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of a Secret."""
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}}


def render_for_cluster(
    home: Path, held: Mapping[str, Mapping[str, Any]], *options: str
) -> subprocess.CompletedProcess[str]:
    """Return how helm renders the chart for a cluster that has these objects of the release already."""
    require_tools()
    with KubernetesApi(held) as cluster:
        command: list[str | Path] = [TOOLS / "helm", "template", RELEASE, CHART, f"--namespace={NAMESPACE}"]
        command += ["--dry-run=server", "--disable-openapi-validation", f"--kube-apiserver={cluster.url}"]
        return subprocess.run(
            [*command, *options],
            env={"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": os.devnull},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
