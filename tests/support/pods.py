"""Pods without a cluster: the workloads of a rendered manifest, as containers of the Docker engine.

Whatever the kubelet would take from the manifest is taken from it here: user and groups, capabilities,
read-only file systems, environment, commands, volumes with their modes, memory limits, probes, and the time
that a pod has to end. Names of Services lead to the pods that they select. A field that is not known here
fails the test, so that none is passed over.
"""

import json
import secrets
import subprocess
import time
from collections.abc import Iterable, Mapping
from typing import Any

import httpx
import pytest

from support.docker_engine import docker, docker_result, pause
from support.manifests import CLUSTER_DEFAULTS, Resource, data_of, named, of_kind
from support.pod_volumes import Files, Volumes

_POD_FIELDS = {
    "automountServiceAccountToken",
    "containers",
    "enableServiceLinks",
    "securityContext",
    "terminationGracePeriodSeconds",
    "volumes",
}
_SCHEDULING = {"affinity", "topologySpreadConstraints", "nodeSelector", "tolerations", "priorityClassName"}
_CONTAINER_FIELDS = {
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resources",
    "securityContext",
    "startupProbe",
    "volumeMounts",
}


class Cluster:
    """All pods of a manifest, on a network and with volumes of their own.

    `toolbox` is an image with Peep's Python; `more_secrets` are those that the manifest expects to exist.
    """

    def __init__(self, resources: list[Resource], toolbox: str, more_secrets: Mapping[str, Files]) -> None:
        self.name = f"peep-pods-{secrets.token_hex(4)}"
        self.pods: list[Pod] = []
        self._resources = resources
        own = {each["metadata"]["name"]: data_of(each) for each in of_kind(resources, "Secret")}
        self.volumes = Volumes(self.name, toolbox, {**own, **more_secrets})

    def start(self) -> None:
        """Start every pod, the Redis first, and return when all have passed their startup probes."""
        docker("network", "create", self.name)
        for workload in of_kind(self._resources, "StatefulSet") + of_kind(self._resources, "Deployment"):
            for number in range(workload["spec"]["replicas"]):
                self.pods.append(Pod(self, workload, number))
        for pod in self.pods:
            pod.wait_until_started()

    def remove(self) -> None:
        """Remove all of it."""
        left = docker_result("ps", "--all", "--quiet", f"--filter=name={self.name}-").stdout.split()
        for container in left:
            docker_result("rm", "--force", "--volumes", container)
        self.volumes.remove()
        docker_result("network", "rm", self.name)

    def of(self, component: str) -> "list[Pod]":
        """Return the pods of one component."""
        return [pod for pod in self.pods if pod.component == component]

    def services_of(self, labels: Mapping[str, str]) -> list[Resource]:
        """Return the Services that select a pod with these labels."""
        return [
            service
            for service in of_kind(self._resources, "Service")
            if service["spec"]["selector"].items() <= labels.items()
        ]

    def configuration(self, name: str) -> dict[str, str]:
        """Return what a ConfigMap holds."""
        return data_of(named(self._resources, "ConfigMap", name))


class Pod:
    """One pod of a Deployment or StatefulSet, running."""

    def __init__(self, cluster: Cluster, workload: Resource, number: int) -> None:
        template = workload["spec"]["template"]
        self.labels: dict[str, str] = template["metadata"]["labels"]
        self.component = self.labels["app.kubernetes.io/component"]
        self._cluster = cluster
        self._claims = [each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", [])]
        self._spec: Resource = template["spec"]
        (self._container_spec,) = self._spec["containers"]
        _require_known(self._spec, _POD_FIELDS | _SCHEDULING)
        _require_known(self._container_spec, _CONTAINER_FIELDS)
        assert self._spec["automountServiceAccountToken"] is False
        assert self._spec["enableServiceLinks"] is False
        self.name = f"{cluster.name}-{self.component}-{number}"
        self.container = docker("run", "--detach", f"--name={self.name}", *self._options(), *self._command())

    @property
    def grace_seconds(self) -> int:
        """How long the pod may take to end after SIGTERM: what is left of its time after the preStop hook."""
        hook = self._container_spec.get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})
        total: int = self._spec["terminationGracePeriodSeconds"]
        return total - int(hook["sleep"]["seconds"])

    def address(self, port_name: str) -> tuple[str, int]:
        """Return where a named port of the pod is reached from this machine."""
        host, _, port = docker("port", self.container, f"{self._port(port_name)}/tcp").rpartition(":")
        return host, int(port)

    def port_behind(self, service_port: int) -> tuple[str, int]:
        """Return where a connection to this port of the pod's Service ends."""
        ports = [port for each in self._cluster.services_of(self.labels) for port in each["spec"]["ports"]]
        (target,) = (port["targetPort"] for port in ports if port["port"] == service_port)
        return self.address(target)

    def probes(self) -> list[str]:
        """Return which probes the manifest has."""
        return [
            name for name in ("startup", "readiness", "liveness") if f"{name}Probe" in self._container_spec
        ]

    def probe(self, name: str) -> bool:
        """Carry one probe out once, as the kubelet does, and return whether it succeeds in its time."""
        probe = CLUSTER_DEFAULTS | self._container_spec[f"{name}Probe"]
        if "exec" in probe:
            command = probe["exec"]["command"]
            try:
                done = docker_result("exec", self.container, *command, seconds=probe["timeoutSeconds"])
            except subprocess.TimeoutExpired:
                return False
            return done.returncode == 0
        return self._get(probe["httpGet"], probe["timeoutSeconds"])

    def passes(self, name: str) -> bool:
        """Return whether the kubelet would go by a success: one within as many tries as the probe allows."""
        tries = (CLUSTER_DEFAULTS | self._container_spec[f"{name}Probe"])["failureThreshold"]
        return any(self.probe(name) for _ in range(tries))

    def wait_until_started(self) -> None:
        """Return when the startup probe succeeds; fail the test when the kubelet would give the pod up."""
        probe = CLUSTER_DEFAULTS | self._container_spec["startupProbe"]
        for _ in range(probe["failureThreshold"]):
            if self.probe("startup"):
                return
            if docker("inspect", "--format={{.State.Running}}", self.container) != "true":
                break
            time.sleep(probe["periodSeconds"])
        pytest.fail(f"{self.name} does not start:\n{self.logs()}")

    def logs(self) -> str:
        """Return what the pod has said so far."""
        done = docker_result("logs", self.container)
        return done.stdout + done.stderr

    def execute(self, *command: str, content: str = "") -> str:
        """Run a command in the pod and return what it prints."""
        return docker("exec", "--interactive", self.container, *command, content=content)

    def freeze(self) -> None:
        """Stop the pod's processes where they are."""
        pause(self.container)

    def thaw(self) -> None:
        """Let them go on."""
        docker("unpause", self.container)

    def stop(self) -> tuple[int, float]:
        """Send SIGTERM, and SIGKILL once the grace period is over; return the exit code and the seconds."""
        began = time.monotonic()
        docker("stop", f"--time={self.grace_seconds}", self.container)
        took = time.monotonic() - began
        return int(docker("inspect", "--format={{.State.ExitCode}}", self.container)), took

    def _options(self) -> Iterable[str]:
        security, container = self._spec["securityContext"], self._container_spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] != 0
        # What the engine does where nothing else is said.
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        yield f"--user={security['runAsUser']}:{security['runAsGroup']}"
        yield f"--group-add={security['fsGroup']}"
        yield f"--read-only={json.dumps(container['readOnlyRootFilesystem'])}"
        yield from (f"--cap-drop={each}" for each in container["capabilities"]["drop"])
        if container["allowPrivilegeEscalation"] is False:
            yield "--security-opt=no-new-privileges:true"
        # The image's own check is nothing to the kubelet.
        yield "--no-healthcheck"
        yield f"--network={self._cluster.name}"
        for service in self._cluster.services_of(self.labels):
            yield f"--network-alias={service['metadata']['name']}"
        yield from (f"--publish=127.0.0.1::{port['containerPort']}" for port in self._container_spec["ports"])
        yield from (f"--env={name}={value}" for name, value in self._environment().items())
        yield from self._mounts(security["fsGroup"])
        yield f"--memory={_docker_size(self._container_spec['resources']['limits']['memory'])}"

    def _environment(self) -> dict[str, str]:
        environment: dict[str, str] = {}
        for source in self._container_spec.get("envFrom", []):
            environment |= self._cluster.configuration(source["configMapRef"]["name"])
        for variable in self._container_spec.get("env", []):
            reference = variable["valueFrom"]["secretKeyRef"]
            environment[variable["name"]] = self._cluster.volumes.secrets[reference["name"]][reference["key"]]
        return environment

    def _mounts(self, group: int) -> Iterable[str]:
        volumes = {volume["name"]: volume for volume in self._spec["volumes"]}
        for mount in self._container_spec["volumeMounts"]:
            name, path = mount["name"], mount["mountPath"]
            if "emptyDir" in volumes.get(name, {}):
                source = volumes[name]["emptyDir"]
                assert source["medium"] == "Memory"
                yield f"--tmpfs={path}:size={_docker_size(source['sizeLimit'])},mode=0777"
            else:
                volume = self._volume(name, volumes, group)
                yield f"--volume={volume}:{path}{':ro' if mount.get('readOnly') else ''}"

    def _volume(self, name: str, volumes: Mapping[str, Resource], group: int) -> str:
        if name in self._claims:
            return self._cluster.volumes.claim(f"{name}-{self.name}", group)
        if "secret" in volumes[name]:
            source = volumes[name]["secret"]
            return self._cluster.volumes.secret(source["secretName"], source["defaultMode"], group)
        return self._cluster.volumes.claim(volumes[name]["persistentVolumeClaim"]["claimName"], group)

    def _command(self) -> Iterable[str]:
        """Yield the image, and what replaces its entry point and its arguments."""
        command = self._container_spec.get("command", [])
        if command:
            yield f"--entrypoint={command[0]}"
        yield self._container_spec["image"]
        yield from command[1:]
        yield from self._container_spec.get("args", [])

    def _port(self, name: str) -> int:
        (port,) = (port["containerPort"] for port in self._container_spec["ports"] if port["name"] == name)
        return int(port)

    def _get(self, request: Mapping[str, Any], seconds: float) -> bool:
        host, port = self.address(request["port"])
        try:
            answer = httpx.get(f"http://{host}:{port}{request['path']}", timeout=seconds)
        except httpx.HTTPError:
            return False
        return 200 <= answer.status_code < 400


def _require_known(given: Mapping[str, object], known: set[str]) -> None:
    assert given.keys() <= known, f"nothing here obeys {sorted(given.keys() - known)}"


def _docker_size(quantity: str) -> str:
    # Docker's m is 1024 times 1024, which Kubernetes calls Mi.
    assert quantity.endswith(("Ki", "Mi", "Gi"))
    return quantity[:-1].lower()
