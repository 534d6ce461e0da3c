"""What the chart promises, whatever its values are."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from pop3_service.service import KILL_AFTER_SECONDS
from service_runtime.settings import ApiSettings, GatewaySettings, Pop3Settings, unknown_variables
from state_store.instance.exchanges import FAREWELL_SECONDS
from support.manifests import (
    CHART,
    TOOLS,
    Resource,
    chart,
    data_of,
    named,
    of_kind,
    render,
    require_tools,
)

VALUES = sorted((CHART / "ci").glob("*.yaml"))
EVERYTHING = CHART / "ci" / "everything.yaml"

SERVICES = ("pop3-service", "peep-gateway", "state-api")

WITHOUT_TLS = {"defaults", "external-redis"}
TYPE = "pop3Service__service__type"
REPLICAS = "pop3Service__replicas"

EXTERNAL = {"redis__bundled__enabled": "false", "redis__url": "redis://redis.example.org"}


def pod_spec(resources: list[Resource], component: str, kind: str = "Deployment") -> Resource:
    spec: Resource = named(resources, kind, f"peep-{component}")["spec"]["template"]["spec"]
    return spec


def container(resources: list[Resource], component: str) -> Resource:
    (found,) = pod_spec(resources, component)["containers"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_every_variable_that_pods_get_is_a_setting(values: Path) -> None:
    configuration = data_of(named(chart(values), "ConfigMap", "peep"))
    assert unknown_variables(configuration) == []


def test_a_big_number_arrives_as_it_was_written() -> None:
    configuration = data_of(named(chart(EVERYTHING), "ConfigMap", "peep"))
    assert configuration["PEEP_MAX_CONNECTIONS_PER_ADDRESS"] == "1000000"


def test_container_ports_are_those_on_which_the_services_listen() -> None:
    ports = {
        port["name"]: port["containerPort"]
        for component in SERVICES
        for port in container(chart(EVERYTHING), component)["ports"]
    }
    assert ports == {
        "pop3": Pop3Settings.model_fields["pop3_port"].default,
        "pop3s": Pop3Settings.model_fields["pop3s_port"].default,
        "peep": GatewaySettings.model_fields["port"].default,
        "peeps": GatewaySettings.model_fields["tls_port"].default,
        "http": ApiSettings.model_fields["http_port"].default,
    }


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_only_pop3_is_reached_from_outside_the_cluster(values: Path) -> None:
    kinds = {each["metadata"]["name"]: each["spec"]["type"] for each in of_kind(chart(values), "Service")}
    published = {name for name, kind in kinds.items() if kind != "ClusterIP"}
    assert published == (set() if values.stem in WITHOUT_TLS else {"peep-pop3-service"})


CERTIFICATE = {"tls__existingSecret": "t"}
IN_THE_CLEAR = {"tls__required": "false"}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, "ClusterIP"),
        (IN_THE_CLEAR, "ClusterIP"),
        (CERTIFICATE, "LoadBalancer"),
        ({**CERTIFICATE, TYPE: "ClusterIP"}, "ClusterIP"),
        ({**CERTIFICATE, TYPE: "NodePort"}, "NodePort"),
        ({**IN_THE_CLEAR, TYPE: "NodePort"}, "NodePort"),
    ],
)
def test_pop3_is_published_with_tls_or_where_two_values_ask_for_it(
    settings: dict[str, str], kind: str
) -> None:
    service = named(chart(**settings), "Service", "peep-pop3-service")
    assert service["spec"]["type"] == kind


def test_pop3_is_on_its_well_known_ports() -> None:
    service = named(chart(CHART / "ci" / "tls.yaml"), "Service", "peep-pop3-service")["spec"]
    assert {port["port"]: port["targetPort"] for port in service["ports"]} == {110: "pop3", 995: "pop3s"}
    assert service["externalTrafficPolicy"] == "Local"


@pytest.mark.parametrize(("drain", "notice"), [(0, 1), (30, 5), (3600, 300)])
def test_a_pod_has_more_time_than_its_end_takes(drain: int, notice: int) -> None:
    resources = chart(drainSeconds=drain, preStopSeconds=notice)
    for component in SERVICES:
        hook = container(resources, component)["lifecycle"]["preStop"]
        assert hook == {"sleep": {"seconds": notice}}
        grace = pod_spec(resources, component)["terminationGracePeriodSeconds"]
        assert grace > notice + drain + KILL_AFTER_SECONDS + FAREWELL_SECONDS
    assert data_of(named(resources, "ConfigMap", "peep"))["PEEP_DRAIN_SECONDS"] == str(drain)


def budgets(resources: list[Resource]) -> set[str]:
    return {each["metadata"]["name"] for each in of_kind(resources, "PodDisruptionBudget")}


def test_a_single_pod_has_no_budget_that_would_hold_up_a_drain() -> None:
    assert budgets(chart(peepGateway__replicas=1, stateApi__replicas=3, **{REPLICAS: 2})) == {
        "peep-pop3-service",
        "peep-state-api",
    }
    scaled = {"autoscaling__enabled": "true", "autoscaling__minReplicas": 1, REPLICAS: 3}
    assert "peep-pop3-service" not in budgets(chart(**scaled))


def test_pods_on_the_node_of_their_volume_have_no_budget_either() -> None:
    together = {REPLICAS: 3, "mail__accessMode": "ReadWriteOnce"}
    assert "peep-pop3-service" not in budgets(chart(**together))


def test_an_autoscaler_alone_decides_on_the_number_of_pods() -> None:
    resources = chart(EVERYTHING)
    assert "replicas" not in named(resources, "Deployment", "peep-pop3-service")["spec"]
    assert named(resources, "HorizontalPodAutoscaler", "peep-pop3-service")["spec"]["minReplicas"] == 3


def test_a_changed_setting_starts_the_pods_anew() -> None:
    def annotations(resources: list[Resource]) -> dict[str, Any]:
        return {
            component: named(resources, "Deployment", f"peep-{component}")["spec"]["template"]["metadata"]
            for component in SERVICES
        }

    assert annotations(chart()) == annotations(chart())
    changed = annotations(chart(settings__PEEP_LOG_LEVEL="debug"))
    assert all(changed[component] != before for component, before in annotations(chart()).items())


def test_passwords_stand_in_secrets_alone() -> None:
    resources = chart(
        administrators__password="of-the-administrator",
        redis__bundled__enabled="false",
        redis__url="redis://:of-redis@redis.example.org",
    )
    others = [each for each in resources if each["kind"] != "Secret"]
    assert "of-the-administrator" not in str(others)
    assert "of-redis" not in str(others)
    administrators = data_of(named(resources, "Secret", "peep-administrators"))
    assert administrators["administrators"] == "admin:of-the-administrator"


def test_with_existing_secrets_the_chart_makes_none() -> None:
    resources = chart(EVERYTHING)
    assert of_kind(resources, "Secret", "StatefulSet") == []
    sources = {
        volume["name"]: volume["secret"]["secretName"]
        for volume in pod_spec(resources, "peep-gateway")["volumes"]
    }
    assert sources == {
        "redis": "mail-redis",
        "administrators": "mail-administrators",
        "tls": "pop-example-org-tls",
    }


def test_mail_outlives_the_release() -> None:
    claim = named(chart(), "PersistentVolumeClaim", "peep-mail")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    resources = chart(mail__existingClaim="old-mail")
    assert of_kind(resources, "PersistentVolumeClaim") == []
    volumes = pod_spec(resources, "pop3-service")["volumes"]
    assert {"name": "mail", "persistentVolumeClaim": {"claimName": "old-mail"}} in volumes


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        ({}, "ReadWriteOnce"),
        ({REPLICAS: 2}, "ReadWriteMany"),
        ({"autoscaling__enabled": "true"}, "ReadWriteMany"),
        ({REPLICAS: 2, "mail__accessMode": "ReadWriteOnce"}, "ReadWriteOnce"),
        ({"mail__accessMode": "ReadWriteMany"}, "ReadWriteMany"),
    ],
)
def test_the_claim_can_be_mounted_where_the_pods_are(settings: dict[str, object], mode: str) -> None:
    resources = chart(**settings)
    claim = named(resources, "PersistentVolumeClaim", "peep-mail")
    assert claim["spec"]["accessModes"] == [mode]
    pods = named(resources, "Deployment", "peep-pop3-service")["spec"]["template"]
    if mode == "ReadWriteMany":
        assert "affinity" not in pods["spec"]
    else:
        (term,) = pods["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "kubernetes.io/hostname"
        # Those of an earlier version too: a new pod starts beside them, before they end.
        assert term["labelSelector"]["matchLabels"] == pods["metadata"]["labels"]


def test_one_value_says_where_all_three_images_are() -> None:
    resources = chart(image__repository="registry.example.org/mail")
    images = {container(resources, component)["image"] for component in SERVICES}
    assert images == {f"registry.example.org/mail/{component}:0.1.0" for component in SERVICES}


def test_nothing_that_is_unsaid_comes_from_a_registry_of_strangers() -> None:
    images = [container(chart(), component)["image"] for component in SERVICES]
    assert all(image.startswith("localhost/") for image in images)


def test_monitoring_is_there_when_it_is_asked_for() -> None:
    assert of_kind(chart(), "ServiceMonitor", "PrometheusRule") == []
    resources = chart(EVERYTHING)
    (group,) = named(resources, "PrometheusRule", "peep")["spec"]["groups"]
    assert len(group["rules"]) > 5
    monitor = named(resources, "ServiceMonitor", "peep")
    service = named(resources, "Service", "peep-state-api")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["authorization"]["credentials"] == {"name": "peep-metrics", "key": "token"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pop3Servce__replicas": 1}, "'pop3Servce' not allowed"),
        ({"pop3Service__replicas": "two"}, "got string, want integer"),
        ({"drainSeconds": 4000}, "/drainSeconds"),
        ({"administrators__password": "two words"}, "/administrators/password"),
        ({"redis__url": "redis://elsewhere"}, "set redis.bundled.enabled to false"),
        ({"redis__bundled__enabled": "false"}, "give redis.url or redis.existingSecret"),
        ({**EXTERNAL, "redis__existingSecret": "redis"}, "are both set: give one of them"),
        ({**EXTERNAL, "redis__url": "http://elsewhere"}, "/redis/url"),
        ({"proxyProtocol__enabled": "true"}, "needs proxyProtocol.trusted"),
        (
            {"settings__PEEP_REDIS_URL": "redis://x"},
            "settings.PEEP_REDIS_URL: the chart sets this one itself",
        ),
        ({"settings__peep": 1}, "'peep' not allowed"),
        ({TYPE: "LoadBalancer"}, "set tls.existingSecret"),
        ({TYPE: "NodePort"}, "both tls.required=false and pop3Service.service.type=NodePort"),
        ({TYPE: "ExternalName"}, "/pop3Service/service/type"),
        ({"mail__accessMode": "ReadOnlyMany"}, "/mail/accessMode"),
        ({"autoscaling__enabled": "true", "autoscaling__cpuPercent": 0}, "autoscaling.metrics to go by"),
    ],
)
def test_values_that_cannot_be_are_refused_with_what_to_do(settings: dict[str, object], message: str) -> None:
    done = render("chart", *(f"--set={name.replace('__', '.')}={value}" for name, value in settings.items()))
    assert done.returncode == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        (
            (),
            [
                "The nodes need the images localhost/peep/{pop3-service,peep-gateway,state-api}:0.1.0",
                "get secret mail-peep-administrators",
                "pop3://127.0.0.1:1110/",
                "Set tls.existingSecret, the Secret of a certificate, to publish it.",
                "all POP3 pods run on one node",
            ],
        ),
        (
            ("--set=tls.required=false", "--set=pop3Service.service.type=LoadBalancer"),
            ["pop3://EXTERNAL-IP:110/", "in the clear"],
        ),
        (("--set=tls.existingSecret=t",), ["pop3s://EXTERNAL-IP:995/"]),
        (
            ("--set=tls.existingSecret=t", "--set=pop3Service.service.type=ClusterIP"),
            ["curl --ssl-reqd -u alice pop3://127.0.0.1:1110/"],
        ),
        (("--set=administrators.existingSecret=mine",), ["it is in the Secret mine"]),
    ],
)
def test_notes_tell_the_next_step(settings: tuple[str, ...], lines: list[str]) -> None:
    require_tools()
    install: list[str | Path] = [
        TOOLS / "helm",
        "install",
        "mail",
        CHART,
        "--dry-run=client",
        "--namespace=post",
        *settings,
    ]
    done = subprocess.run(install, capture_output=True, text=True, timeout=60, check=True)
    notes = done.stdout.partition("\nNOTES:\n")[2]
    assert "kubectl -n post " in notes
    assert all(line in notes for line in lines), notes
