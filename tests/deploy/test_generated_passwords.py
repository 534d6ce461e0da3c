"""Passwords that the chart makes: random at the first install, the same ever after."""

import re
from collections.abc import Mapping
from pathlib import Path

from support.kubernetes_api import render_for_cluster, secret


def secrets_of(folder: Path, known: Mapping[str, Mapping[str, str]], *settings: str) -> str:
    """Return the Secrets that an install or upgrade gives a cluster that has these already."""
    held = {f"secrets/{name}": secret(data) for name, data in known.items()}
    done = render_for_cluster(folder, held, "--show-only=templates/secrets.yaml", *settings)
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
