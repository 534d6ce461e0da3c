"""What docs/kubernetes.md tells people to type: values that the chart takes, and names that it makes."""

import re

import pytest

from support.kubernetes_page import PAGE, commands
from support.manifests import ROOT, named, of_kind, rendered

HELM = commands("helm")


@pytest.mark.parametrize("words", HELM, ids=lambda words: " ".join(words[-2:]))
def test_the_chart_takes_the_values_of_each_helm_command(words: list[str]) -> None:
    settings = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    assert settings or "install" in words
    assert "deploy/chart" in words
    assert rendered("chart", *(f"--set={setting}" for setting in settings))


def test_the_first_mail_takes_ten_commands() -> None:
    (block, *_) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(block.splitlines()) == 10


def test_the_names_in_kubectl_commands_are_those_that_the_chart_makes() -> None:
    resources = rendered("chart")
    kinds = {"svc": "Service", "deploy": "Deployment"}
    names = [word.partition("/") for words in commands("kubectl") for word in words if "/peep-" in word]
    checked = [named(resources, kinds[kind], name) for kind, _, name in names if kind in kinds]
    assert len(checked) >= 3
    (asked,) = (words for words in commands("secret") if "get" in words)
    secret = named(resources, "Secret", asked[asked.index("secret") + 1])
    assert "password" in secret["stringData"]


def test_the_secrets_of_the_trial_overlay_are_those_that_its_pods_expect() -> None:
    made: dict[str, set[str]] = {}
    for words in commands("create"):
        if words[:3] == ["kubectl", "-n", "peep"] and words[6].startswith("peep-"):
            literals = [word.partition("=")[2] for word in words if word.startswith("--from-literal=")]
            made[words[6]] = {literal.partition("=")[0] for literal in literals}
    resources = rendered("kustomize", ROOT / "deploy" / "kubernetes" / "overlays" / "trial")
    pods = [each["spec"]["template"]["spec"] for each in of_kind(resources, "Deployment", "StatefulSet")]
    expected = {
        volume["secret"]["secretName"] for pod in pods for volume in pod["volumes"] if "secret" in volume
    }
    assert made.keys() == expected
    # Redis reads its configuration, the probes its password, the services its URL.
    assert made == {
        "peep-redis": {"password", "redis.conf", "url"},
        "peep-administrators": {"administrators"},
    }
