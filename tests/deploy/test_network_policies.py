"""Who reaches whom: what the NetworkPolicies leave open, and that they leave nothing else open."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from support.manifests import CHART, ROOT, Resource, chart, of_kind, rendered

ANYBODY = "anybody"

# (component, direction, other side, ports)
Way = tuple[str, str, str, tuple[object, ...]]


def components(resources: list[Resource]) -> dict[str, dict[str, str]]:
    """The labels of every component's pods."""
    labels = [
        each["spec"]["template"]["metadata"]["labels"]
        for each in of_kind(resources, "Deployment", "StatefulSet")
    ]
    return {each["app.kubernetes.io/component"]: each for each in labels}


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector with `In` expressions selects these labels."""
    wanted = [
        each["operator"] == "In" and labels.get(each["key"]) in each["values"]
        for each in selector.get("matchExpressions", [])
    ]
    return selector.get("matchLabels", {}).items() <= labels.items() and all(wanted)


def ways(resources: list[Resource]) -> set[Way]:
    """Every way that some policy opens, to or from a component's pods."""
    found = set()
    known = components(resources)
    for policy in of_kind(resources, "NetworkPolicy"):
        selected = [name for name, labels in known.items() if selects(policy["spec"]["podSelector"], labels)]
        assert selected, policy["metadata"]["name"]
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(direction, []):
                ports = tuple(port["port"] for port in rule["ports"])
                for other in others(rule.get(peers, []), known):
                    found |= {(name, direction, other, ports) for name in selected}
    return found


def others(peers: Iterable[Resource], known: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """The other side of a rule, in words."""
    peers = list(peers)
    if not peers:
        yield ANYBODY
    for peer in peers:
        if "ipBlock" in peer:
            yield str(peer["ipBlock"]["cidr"])
        elif "podSelector" in peer:
            assert peer.keys() == {"podSelector"}
            yield from (name for name, labels in known.items() if selects(peer["podSelector"], labels))
        else:
            selector = peer["namespaceSelector"]
            for expression in selector.get("matchExpressions", []):
                yield from (f"namespace {value}" for value in expression["values"])
            yield from (f"namespace {value}" for value in selector.get("matchLabels", {}).values())


def services_ask(other: str, *ports: object) -> set[Way]:
    return {(name, "egress", other, ports) for name in ("pop3-service", "peep-gateway", "state-api")}


def all_are_denied_by_default(resources: list[Resource]) -> bool:
    """Whether one policy selects every pod for both directions and opens nothing."""
    return any(
        sorted(policy["spec"]["policyTypes"]) == ["Egress", "Ingress"]
        and policy["spec"].keys() == {"podSelector", "policyTypes"}
        and all(selects(policy["spec"]["podSelector"], labels) for labels in components(resources).values())
        for policy in of_kind(resources, "NetworkPolicy")
    )


def test_by_default_strangers_reach_pop3_and_the_services_reach_redis_and_names() -> None:
    resources = chart()
    assert all_are_denied_by_default(resources)
    assert ways(resources) == {
        ("pop3-service", "ingress", ANYBODY, ("pop3", "pop3s")),
        ("redis", "ingress", "pop3-service", ("redis",)),
        ("redis", "ingress", "peep-gateway", ("redis",)),
        ("redis", "ingress", "state-api", ("redis",)),
        *services_ask("namespace kube-system", 53, 53),
        *services_ask("redis", 6379),
    }


def test_named_namespaces_and_networks_are_let_in_and_nobody_else() -> None:
    resources = chart(CHART / "ci" / "everything.yaml")
    assert all_are_denied_by_default(resources)
    assert ways(resources) == {
        ("pop3-service", "ingress", "10.0.0.0/8", ("pop3", "pop3s")),
        ("peep-gateway", "ingress", "namespace operations", ("peep", "peeps")),
        ("state-api", "ingress", "namespace operations", ("http",)),
        ("state-api", "ingress", "namespace monitoring", ("http",)),
        ("pop3-service", "egress", ANYBODY, (995,)),  # of PEEP_MOVE_FROM
        *services_ask("namespace kube-system", 53, 53),
        *services_ask("10.20.0.0/16", 6379),
    }


def test_the_production_overlay_leaves_open_what_its_parts_need() -> None:
    folder = ROOT / "deploy" / "kubernetes" / "overlays" / "production"
    resources = rendered("kustomize", Path(folder))
    assert all_are_denied_by_default(resources)
    assert ways(resources) == {
        ("pop3-service", "ingress", ANYBODY, ("pop3", "pop3s")),
        ("peep-gateway", "ingress", "namespace operations", ("peep", "peeps")),
        ("state-api", "ingress", "namespace operations", ("http",)),
        ("state-api", "ingress", "namespace monitoring", ("http",)),
        *services_ask("namespace kube-system", 53, 53),
        *services_ask("10.20.0.0/16", 6379),
    }


def test_without_policies_there_are_none() -> None:
    assert of_kind(chart(networkPolicy__enabled="false"), "NetworkPolicy") == []
