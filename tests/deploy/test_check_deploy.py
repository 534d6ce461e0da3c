"""`make check-deploy` fails when it must, and then shows what the failing tool said."""

import shutil
import subprocess
from pathlib import Path

import pytest

from support.manifests import ROOT, TOOLS, require_tools

PRIVILEGED = "- {op: add, path: /spec/template/spec/containers/0/securityContext/privileged, value: true}"


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of what is checked, with a fault for each tool."""
    require_tools()
    for folder in ("deploy", "tools"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for file in ("Dockerfile", "docker-compose.yml"):
        shutil.copy(ROOT / file, tmp_path)
    templates = tmp_path / "deploy" / "chart" / "templates"
    # A field that no Kubernetes knows, and a kind that none has.
    replace(templates / "pop3-service.yaml", "  strategy:", "  stratagem: {}\n  strategy:")
    replace(templates / "state-api.yaml", "kind: Service", "kind: Sevrice")
    (tmp_path / "deploy" / "chart" / "ci" / "tls.yaml").write_text("tsl: {}\n")
    production = tmp_path / "deploy" / "kubernetes" / "overlays" / "production"
    (production / "tls-files.yaml").write_text(PRIVILEGED)
    (tmp_path / "deploy" / "kubernetes" / "overlays" / "trial" / "kustomization.yaml").write_text("kind: [\n")
    (tmp_path / "deploy" / "chart" / "files" / "alerts.yml").write_text("groups: []\n")
    replace(tmp_path / "Dockerfile", "WORKDIR /build", "WORKDIR build")
    replace(tmp_path / "docker-compose.yml", "services:", "sevrices:")
    return tmp_path


@pytest.mark.timeout(300)
def test_every_fault_is_found_and_told_in_the_tools_own_words(broken: Path) -> None:
    command = (TOOLS / "python", broken / "tools" / "check_deploy.py")
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 1
    told = {
        "helm lint: tls.yaml": "additional properties 'tsl' not allowed",
        "helm template: tls.yaml": "additional properties 'tsl' not allowed",
        "the kustomize base is up to date with the chart": "run `make manifests`",
        "kubectl kustomize: overlays/trial": "invalid Kustomization",
        "kubernetes-validate --strict: 1.31": "'stratagem' was unexpected",
        "kubernetes-validate --strict: 1.37": "Couldn't find schema for kind Sevrice",
        "the chart's alerts are those of deploy/monitoring": "alerts.yml",
        "hadolint: Dockerfile": "DL3000",
        "trivy config: all of these, and the Dockerfile": "privileged",
    }
    if shutil.which("docker"):
        told["docker compose --file=docker-compose.yml config"] = "sevrices"
    for name, words in told.items():
        _, _, rest = done.stdout.partition(f"{name} ...\n")
        said, failed, _ = rest.partition(f"FAILED: {name}\n")
        assert failed, f"{name} did not fail:\n{done.stdout}"
        assert words in said
    assert done.stdout.count("FAILED: ") == len(told) + 5  # kubernetes-validate, once for each version
