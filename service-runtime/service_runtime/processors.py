"""The number of processors that this process may use, by its affinity and its control groups."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

_Microseconds = tuple[str, str]


def usable_processors(process: Path = Path("/proc/self")) -> int:
    """Return how many processors the process may keep busy: at least 1, quotas rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(quota) for quota in _quotas(process))]))


def _quotas(process: Path) -> Iterator[float]:
    for folder in _control_groups(process):
        for quota, period in (_version_2(folder), _version_1(folder)):
            if quota.isdecimal() and period.isdecimal() and int(period) > 0:
                yield int(quota) / int(period)


def _version_2(folder: Path) -> _Microseconds:
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    return quota, period


def _version_1(folder: Path) -> _Microseconds:
    return _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")


def _control_groups(process: Path) -> Iterator[Path]:
    """Yield the folders of the process's own control groups for CPU time, and of the groups above."""
    paths = {}
    for line in _text(process / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            paths["cgroup" if controllers else "cgroup2"] = path
    for line in _text(process / "mountinfo").splitlines():
        mount, _, kind = line.partition(" - ")
        version, *_, options = kind.split()
        if version not in paths or (version == "cgroup" and "cpu" not in options.split(",")):
            continue
        _, _, _, root, point, *_ = mount.split()
        # In a container that sees the machine's paths, the mount begins at the container's own group.
        below = paths[version].removeprefix(root.rstrip("/")) if paths[version].startswith(root) else ""
        folder = Path(point, below.lstrip("/"))
        yield folder
        yield from (above for above in folder.parents if above.is_relative_to(point))


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
