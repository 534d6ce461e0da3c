"""What we ship that starts the services says how many files they may open: each connection is one."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
ENOUGH = 65_536
ENOUGH_IN_CONTAINERS = 16_384

SERVICE_SECTION = re.compile(r"^ *\[Service\].*?(?=^ *\[|\Z|\n\n\S)", re.MULTILINE | re.DOTALL)


def test_every_service_in_containers_may_open_enough_files() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    ours = {name: each for name, each in services.items() if "build" in each}
    assert len(ours) == 3
    assert {name: each["ulimits"]["nofile"] for name, each in ours.items()} == (
        dict.fromkeys(ours, ENOUGH_IN_CONTAINERS)
    )


def test_every_unit_of_systemd_may_open_enough_files() -> None:
    units = [
        text
        for path in (*ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.service"))
        for text in SERVICE_SECTION.findall(path.read_text())
    ]
    assert units
    assert all(f"LimitNOFILE={ENOUGH}" in text for text in units)
