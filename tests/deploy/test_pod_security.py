"""Every pod, of the chart and of the kustomizations, obeys Pod Security "restricted" and has a way out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.manifests import CHART, ROOT, Resource, of_kind, rendered

SOURCES = [("chart", values) for values in sorted((CHART / "ci").glob("*.yaml"))]
SOURCES += [("kustomize", ROOT / "deploy" / "kubernetes" / name) for name in ("base", "overlays/trial")]
SOURCES += [("kustomize", ROOT / "deploy" / "kubernetes" / "overlays" / "production")]

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected"}
VOLUMES |= {"secret"}


@pytest.fixture(params=SOURCES, ids=lambda source: f"{source[0]}-{source[1].stem}")
def resources(request: pytest.FixtureRequest) -> list[Resource]:
    kind, path = request.param
    assert isinstance(path, Path)
    return rendered(kind, path)


def pods(resources: list[Resource]) -> Iterator[Resource]:
    for workload in of_kind(resources, "Deployment", "StatefulSet"):
        yield workload["spec"]["template"]["spec"]


def test_pods_are_restricted(resources: list[Resource]) -> None:
    for pod in pods(resources):
        assert pod.keys().isdisjoint({"hostNetwork", "hostPID", "hostIPC", "initContainers"})
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert security["runAsGroup"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert all(volume.keys() - {"name"} <= VOLUMES for volume in pod["volumes"])
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert all("hostPort" not in port for port in container["ports"])


def test_pods_know_nothing_of_the_cluster(resources: list[Resource]) -> None:
    for pod in pods(resources):
        assert pod["automountServiceAccountToken"] is False
        # A Service "peep" of somebody else's would set PEEP_PORT.
        assert pod["enableServiceLinks"] is False


def test_pods_have_all_three_probes_and_a_limit_of_memory(resources: list[Resource]) -> None:
    for pod in pods(resources):
        for container in pod["containers"]:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
            assert container["resources"]["limits"].keys() == {"memory"}


def test_every_volume_is_mounted_and_every_mount_has_a_volume(resources: list[Resource]) -> None:
    for workload in of_kind(resources, "Deployment", "StatefulSet"):
        pod = workload["spec"]["template"]["spec"]
        claims = [each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", [])]
        mounts = [mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]]
        assert sorted(mounts) == sorted([volume["name"] for volume in pod["volumes"]] + claims)


def test_services_and_budgets_select_pods_that_exist(resources: list[Resource]) -> None:
    templates = [each["spec"]["template"] for each in of_kind(resources, "Deployment", "StatefulSet")]
    labels = [template["metadata"]["labels"] for template in templates]
    for service in of_kind(resources, "Service"):
        (selected,) = (
            template
            for template in templates
            if service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
        )
        names = {port["name"] for each in selected["spec"]["containers"] for port in each["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names
    for budget in of_kind(resources, "PodDisruptionBudget"):
        wanted = budget["spec"]["selector"]["matchLabels"]
        assert len([each for each in labels if wanted.items() <= each.items()]) == 1
