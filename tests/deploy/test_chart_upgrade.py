"""What an upgrade of the chart leaves as it is, and what it refuses to take away or cannot change."""

from pathlib import Path
from typing import Any

import pytest

from support.kubernetes_api import render_for_cluster

CLAIM = "persistentvolumeclaims/peep-mail"
SERVICE = "services/peep-pop3-service"
PUBLISHED = {SERVICE: {"spec": {"type": "LoadBalancer"}}}


def claim(mode: str) -> dict[str, Any]:
    return {CLAIM: {"spec": {"accessModes": [mode]}}}


@pytest.mark.parametrize(
    ("held", "settings", "line"),
    [
        (claim("ReadWriteMany"), [], "accessModes: [ReadWriteMany]"),
        (claim("ReadWriteOnce"), [], "accessModes: [ReadWriteOnce]"),
        (
            claim("ReadWriteOnce"),
            ["--set=pop3Service.replicas=2", "--set=mail.accessMode=ReadWriteOnce"],
            "accessModes: [ReadWriteOnce]",
        ),
        (PUBLISHED, ["--set=tls.existingSecret=t"], "type: LoadBalancer"),
        (
            PUBLISHED,
            ["--set=tls.required=false", "--set=pop3Service.service.type=LoadBalancer"],
            "type: LoadBalancer",
        ),
    ],
)
def test_a_claim_and_a_published_port_stay_what_they_are(
    tmp_path: Path, held: dict[str, Any], settings: list[str], line: str
) -> None:
    done = render_for_cluster(tmp_path, held, *settings)
    assert done.returncode == 0, done.stderr
    assert line in done.stdout


@pytest.mark.parametrize(
    ("held", "settings", "message"),
    [
        (
            claim("ReadWriteOnce"),
            ["--set=pop3Service.replicas=2"],
            "these values want ReadWriteMany: set mail.accessMode=ReadWriteOnce",
        ),
        (
            claim("ReadWriteMany"),
            ["--set=mail.accessMode=ReadWriteOnce"],
            "set mail.accessMode=ReadWriteMany",
        ),
        (
            {"persistentvolumeclaims/old": {"spec": {"accessModes": ["ReadWriteOnce"]}}},
            ["--set=mail.existingClaim=old", "--set=autoscaling.enabled=true"],
            "the claim old is ReadWriteOnce",
        ),
        # Whoever has published POP3 in the clear is asked, not cut off.
        (PUBLISHED, [], "both tls.required=false and pop3Service.service.type=LoadBalancer"),
        (
            PUBLISHED,
            ["--set=tls.required=false"],
            "pop3Service.service.type=ClusterIP, which publishes nothing",
        ),
    ],
)
def test_what_cannot_be_or_would_cut_clients_off_is_refused_with_what_to_do(
    tmp_path: Path, held: dict[str, Any], settings: list[str], message: str
) -> None:
    done = render_for_cluster(tmp_path, held, *settings)
    assert done.returncode == 1
    assert message in done.stderr
