"""Damaged append-only files of the embedded server: what is wrong, and a repair that keeps a copy.

The base file contains all data up to the time it was written, incremental files every change after that. Of
a damaged incremental file the part before the damage can be kept; a damaged base file needs a backup.
"""

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from service_runtime.errors import StartError

FOLDER = "appendonlydir"
CHECKER = "redis-check-aof"  # under this name the server's program checks and shortens such files
CHECK_SECONDS = 60.0  # it reads some hundred megabytes a second

_ANALYSED = re.compile(rb"size=(\d+), ok_up_to=(\d+)")


class UnreadableError(StartError):
    """The append-only files cannot be examined or repaired; the text is one line with the reason."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A damaged incremental file: its octets before the damage, and all its octets."""

    path: Path
    sound_octets: int
    octets: int

    def __str__(self) -> str:
        lost = self.octets - self.sound_octets
        share = lost * 100 / self.octets
        return (
            f"{self.path.name} is damaged after octet {self.sound_octets:,} of {self.octets:,};"
            f" cutting it there loses {lost:,} octets, {share:.3g} % of the changes since it was begun"
        )


def examine(binary: str, files: Path) -> Damage | None:
    """Return the damage of the last incremental file below `files`; None if all are well-formed.

    `binary` is the server's program. Raises UnreadableError if a file is missing, cannot be checked, or is
    damaged without being the last: the changes in the next one would not fit a shortened file.
    """
    *earlier, last = _incremental_files(files / FOLDER)
    for path in earlier:
        if _damage(binary, path) is not None:
            raise UnreadableError(f"{path} is damaged and another file follows it: only a backup helps")
    return _damage(binary, last)


def repair(binary: str, files: Path, damage: Damage) -> Path:
    """Copy all of `files`, then cut the damaged file where its damage begins; return the copy.

    Raises OSError if the copy fails, UnreadableError if the file cannot be cut. Nothing is changed before the
    copy is complete and on the disk.
    """
    copy = files.with_name(f"{files.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    try:
        shutil.copytree(files, unfinished)
        os.sync()
        unfinished.rename(copy)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    done = _check(binary, "--fix", str(damage.path), answer=b"y\n")
    if done.returncode != 0:
        raise UnreadableError(f"{damage.path} cannot be cut: {_last_line(done.stdout + done.stderr)}")
    return copy


def _incremental_files(folder: Path) -> list[Path]:
    manifest = next(folder.glob("*.manifest"), None)
    if manifest is None:
        raise UnreadableError(f"{folder} has no manifest")
    lines = [line.split() for line in manifest.read_text(errors="replace").splitlines()]
    paths = [folder / words[1] for words in lines if words[:1] == ["file"] and words[-2:] == ["type", "i"]]
    if not paths or not all(path.is_file() for path in paths):
        raise UnreadableError(f"{folder} lacks an incremental file of its manifest")
    return paths


def _damage(binary: str, path: Path) -> Damage | None:
    done = _check(binary, str(path))
    if done.returncode == 0:
        return None
    if found := _ANALYSED.search(done.stdout):
        return Damage(path, int(found[2]), int(found[1]))
    raise UnreadableError(f"{path} cannot be checked: {_last_line(done.stdout + done.stderr)}")


def _check(binary: str, *arguments: str, answer: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            (CHECKER, *arguments),
            executable=binary,
            input=answer,
            capture_output=True,
            timeout=CHECK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnreadableError(f"{arguments[-1]} was not checked after {CHECK_SECONDS:g} s") from None


def _last_line(output: bytes) -> str:
    return (output.decode(errors="replace").strip().splitlines() or ["no reason was given"])[-1]
