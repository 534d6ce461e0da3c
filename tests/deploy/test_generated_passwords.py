"""Passwords that the chart makes: random at the first install, the same ever after."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.kubernetes_api import KubernetesApi
from support.manifests import CHART, TOOLS, require_tools


def secrets_of(folder: Path, known: Mapping[str, Mapping[str, str]], *settings: str) -> str:
    """Return the Secrets that an install or upgrade gives a cluster that has these already."""
    require_tools()
    with KubernetesApi("peep", "mail", known) as cluster:
        command: list[str | Path] = [TOOLS / "helm", "template", "peep", CHART, "--namespace=mail", *settings]
        command += ["--show-only=templates/secrets.yaml", "--dry-run=server", "--disable-openapi-validation"]
        done = subprocess.run(
            [*command, f"--kube-apiserver={cluster.url}"],
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "KUBECONFIG": os.devnull},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_first_install_makes_passwords_that_nobody_guesses(tmp_path: Path) -> None:
    first, second = secrets_of(tmp_path, {}), secrets_of(tmp_path, {})
    made = re.findall(r'^  password: "(\w{24,})"$', first + second, re.MULTILINE)
    assert len(set(made)) == 4


KNOWN = {"peep-administrators": {"password": "kept-one"}, "peep-redis": {"password": "kept-two"}}


def test_an_upgrade_keeps_the_passwords(tmp_path: Path) -> None:
    secrets = secrets_of(tmp_path, KNOWN)
    assert 'administrators: "admin:kept-one"' in secrets
    assert 'url: "redis://:kept-two@peep-redis:6379/0"' in secrets
    assert 'redis.conf: "requirepass kept-two\\n"' in secrets


def test_a_password_that_is_given_replaces_the_one_that_was_made(tmp_path: Path) -> None:
    secrets = secrets_of(tmp_path, KNOWN, "--set=administrators.password=given")
    assert 'administrators: "admin:given"' in secrets
    assert "kept-one" not in secrets
