"""As much of a Kubernetes API server as `helm template --dry-run=server` asks: kinds, and Secrets."""

import base64
import http.server
import json
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

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
    """Serves on a free port of the loopback, and holds these Secrets of a release: name to what is in it."""

    def __init__(self, release: str, namespace: str, secrets: Mapping[str, Mapping[str, str]]) -> None:
        folder = f"/api/v1/namespaces/{namespace}/secrets"
        owner = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace}
        held = {f"{folder}/{name}": _secret(name, owner, data) for name, data in secrets.items()}
        answers = {**_discovery(), **held}

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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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


def _secret(name: str, owner: Mapping[str, str], data: Mapping[str, str]) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    metadata = {"name": name, "labels": labels, "annotations": owner}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}
