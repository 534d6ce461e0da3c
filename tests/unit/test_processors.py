"""How many processors a process may use, by its affinity and by the quotas of its control groups."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service_runtime.processors import usable_processors
from service_runtime.settings import Pop3Settings

ALL = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class Machine:
    """A process folder, and the folders of control groups that it names."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.process = folder / "process"
        self.process.mkdir()
        self.groups = folder / "groups"
        self.groups.mkdir()
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)

    def version_2(self, path: str, root: str = "/") -> None:
        self._describe(f"0::{path}", f"30 1 0:26 {root} {self.groups} rw,relatime - cgroup2 cgroup2 rw\n")

    def version_1(self, path: str, root: str = "/") -> None:
        mount = f"31 1 0:27 {root} {self.groups} rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        self._describe(f"5:memory:/other\n4:cpu,cpuacct:{path}\n0::/", mount)

    def _describe(self, groups: str, mount: str) -> None:
        (self.process / "cgroup").write_text(groups + "\n")
        (self.process / "mountinfo").write_text(f"20 1 0:20 / /proc rw - proc proc rw\n{mount}")

    def limit(self, path: str, quota: str, period: str = "100000", *, version: int = 2) -> None:
        folder = self.groups / path
        folder.mkdir(parents=True, exist_ok=True)
        if version == 2:
            (folder / "cpu.max").write_text(f"{quota} {period}\n")
        else:
            (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
            (folder / "cpu.cfs_period_us").write_text(f"{period}\n")

    def processors(self) -> int:
        return usable_processors(self.process)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("quota", "processors"),
    [("200000", 2), ("250000", 3), ("50000", 1), ("1000", 1), ("max", 16), ("9900000", 16)],
)
def test_a_quota_of_version_2_is_rounded_up(machine: Machine, quota: str, processors: int) -> None:
    machine.version_2("/")
    machine.limit("", quota)
    assert machine.processors() == processors


@pytest.mark.parametrize(("quota", "processors"), [("150000", 2), ("20000", 1), ("-1", 16)])
def test_a_quota_of_version_1_is_rounded_up(machine: Machine, quota: str, processors: int) -> None:
    machine.version_1("/system.slice/peep.service")
    machine.limit("system.slice/peep.service", quota, version=1)
    assert machine.processors() == processors


def test_the_narrowest_of_all_groups_above_holds(machine: Machine) -> None:
    machine.version_2("/pods/pod/container")
    machine.limit("pods", "max")
    machine.limit("pods/pod", "300000")
    machine.limit("pods/pod/container", "800000")
    assert machine.processors() == 3


@pytest.mark.parametrize("root", ["/docker/4711", "/docker/4711/"])
def test_in_a_container_that_sees_the_machines_paths_its_own_group_is_found(
    machine: Machine, root: str
) -> None:
    machine.version_1("/docker/4711/below", root=root)
    machine.limit("", "200000", version=1)
    machine.limit("below", "-1", version=1)
    assert machine.processors() == 2


def test_a_group_that_is_mounted_elsewhere_is_looked_for_where_the_mount_begins(machine: Machine) -> None:
    machine.version_2("/../other", root="/own")
    machine.limit("", "400000")
    assert machine.processors() == 4


def test_without_control_groups_the_affinity_counts(machine: Machine) -> None:
    assert machine.processors() == 16


def test_a_quota_that_is_none_is_passed_over(machine: Machine) -> None:
    machine.version_2("/")
    machine.limit("", "soon", "now")
    assert machine.processors() == 16
    machine.limit("", "100000", "0")
    assert machine.processors() == 16


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_where_one_processor_may_be_used_one_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEEP_POP3_WORKERS", raising=False)

    def bound() -> int:
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])  # this thread's
        return Pop3Settings(redis_url="redis://localhost").pop3_workers

    with ThreadPoolExecutor() as threads:
        assert threads.submit(bound).result() == 1


def test_this_machine_has_no_more_than_the_affinity_says() -> None:
    assert 1 <= usable_processors() <= (ALL or 1)
