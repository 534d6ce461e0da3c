"""What docker-compose.yml and its overlay promise before anything is started, as Compose reads them."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.containers import PROJECT_FOLDER, Containers, require_engine
from support.documentation import PAGES
from support.scaled_containers import REPLICAS

pytestmark = pytest.mark.containers

OVERLAY = Path("compose.scale.yml")
MIB = 1024 * 1024


def services(*overlays: Path, **settings: str) -> dict[str, Any]:
    """Return the services of the project as Compose understands them."""
    require_engine()
    containers = Containers(*overlays, **settings)
    found: dict[str, Any] = json.loads(containers.compose("config", "--format", "json"))["services"]
    return found


def checkout(folder: Path) -> dict[str, Any]:
    """Return what Compose makes of a checkout in this folder, where nothing is set."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PROJECT_FOLDER / "docker-compose.yml", folder)
    done = subprocess.run(
        ("docker", "compose", "config", "--format", "json"), cwd=folder, capture_output=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def own_names(project: dict[str, Any]) -> set[str]:
    """Return the names of volumes, networks and images that only this project may have."""
    named = [*project["volumes"].values(), *project["networks"].values()]
    built = [service["image"] for service in project["services"].values() if "build" in service]
    return {project["name"], *(each["name"] for each in named), *built}


def test_checkouts_in_folders_of_different_names_share_nothing(tmp_path: Path) -> None:
    require_engine()
    first, second = checkout(tmp_path / "mail"), checkout(tmp_path / "trial")
    assert len(own_names(first)) == 10
    assert own_names(first) & own_names(second) == set()


def test_a_name_in_the_file_of_variables_wins_over_the_folders(tmp_path: Path) -> None:
    require_engine()
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / ".env").write_text("COMPOSE_PROJECT_NAME=peep\n")
    names = own_names(checkout(folder))
    assert {"peep", "peep_mail", "peep_redis-data", "localhost/peep/pop3-service"} <= names


@pytest.mark.parametrize("overlays", [(), (OVERLAY,)], ids=["alone", "with-overlay"])
def test_no_container_takes_all_memory_processes_or_disk(overlays: tuple[Path, ...]) -> None:
    for name, service in services(*overlays).items():
        limits = service["deploy"]["resources"]["limits"]
        assert 0 < int(limits["memory"]) <= 2048 * MIB, name
        assert 0 < limits["pids"] <= 4096, name
        assert service["logging"] == {
            "driver": "json-file",
            "options": {"max-size": "20m", "max-file": "10"},
        }, name


def test_the_limits_are_those_of_the_page() -> None:
    page = (PAGES / "sizing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9`, -]+)` \| ([0-9,]+) MiB \| ([0-9,]+) \|", page, re.MULTILINE)
    told = {
        name: (int(memory.replace(",", "")), int(processes.replace(",", "")))
        for names, memory, processes in rows
        for name in names.split("`, `")
    }
    limits = {
        name: service["deploy"]["resources"]["limits"]
        for name, service in services(OVERLAY).items()
        if name in (*REPLICAS, "redis", "haproxy")
    }
    assert told == {name: (int(each["memory"]) // MIB, each["pids"]) for name, each in limits.items()}


def test_memory_is_set_by_one_number_and_redis_takes_half_of_it_for_data() -> None:
    found = services(PEEP_MEMORY_POP3="3072", PEEP_MEMORY_REDIS="4096")
    memory = {name: int(each["deploy"]["resources"]["limits"]["memory"]) for name, each in found.items()}
    assert (memory["pop3-service"], memory["redis"]) == (3072 * MIB, 4096 * MIB)
    assert "--maxmemory $$((4096 / 2))mb --maxmemory-policy noeviction" in found["redis"]["command"][-1]


@pytest.mark.parametrize("overlays", [(), (OVERLAY,)], ids=["alone", "with-overlay"])
def test_every_port_is_published_where_its_variable_says(overlays: tuple[Path, ...]) -> None:
    wanted = {"POP3": 1110, "POP3S": 1995, "PEEP": 2110, "PEEPS": 2995, "HTTP": 8110}
    settings = {f"PEEP_PUBLISH_{name}": f"10.0.0.7:{number + 1}" for name, number in wanted.items()}
    published = {
        (port["host_ip"], int(port["published"]), port["target"])
        for service in services(*overlays, **settings).values()
        for port in service.get("ports", [])
    }
    assert published == {("10.0.0.7", number + 1, number) for number in wanted.values()}
