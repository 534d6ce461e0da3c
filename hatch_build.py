"""Compile the one module in C when Peep is built or installed; without a compiler Peep does without it.

`python hatch_build.py` does only that, and says in one line why it cannot.
"""

import hashlib
import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_ROOT = Path(__file__).parent
_SOURCE = _ROOT / "pop3-service" / "pop3_service" / "maildir" / "_wire.c"
_MODULE = _SOURCE.with_suffix(".abi3.so")
# The limited API of this version: one build serves it and all later ones.
_INTERPRETER = "cp311"
_HINT = "a C compiler and Python's headers would do (Debian: apt install gcc python3-dev)"


class CompilingHook(BuildHookInterface[Any]):
    """Puts the module into the wheel, or beside its source for an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before hatchling gathers the files."""
        if not why_not_compiled():
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["artifacts"].append(f"/{_MODULE.relative_to(_ROOT)}")
            build_data["pure_python"] = False
            build_data["tag"] = f"{_INTERPRETER}-abi3-{platform}"


def why_not_compiled() -> str:
    """Compile the module unless it is there, made from this source; return why it could not be, in a line."""
    digest = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()
    if _MODULE.exists() and digest.encode() in _MODULE.read_bytes():
        return ""
    if sys.platform != "linux":
        return "it uses what only Linux has"
    if not os.access(_MODULE.parent, os.W_OK, effective_ids=True):
        return f"{_MODULE.parent} cannot be written"
    _MODULE.unlink(missing_ok=True)
    fresh = _MODULE.with_suffix(f".{os.getpid()}")  # another installation may compile it just now
    try:
        subprocess.run(_command(fresh, digest), check=True, capture_output=True, text=True)
        fresh.replace(_MODULE)
    except OSError as error:
        return f"there is no C compiler ({error.strerror}: {error.filename}); {_HINT}"
    except subprocess.CalledProcessError as error:
        first = next((line for line in error.stderr.splitlines() if "error:" in line), "the compiler failed")
        return f"{first}; {_HINT}"
    finally:
        fresh.unlink(missing_ok=True)
    return ""


def _command(target: Path, digest: str) -> list[str]:
    linker = shlex.split(sysconfig.get_config_var("LDSHARED") or "cc -shared")
    # Without debugging symbols, which would contain paths: the same source gives the same file.
    flags = ["-O3", "-g0", "-s", "-fPIC", f"-I{sysconfig.get_path('include')}", f'-DSOURCE_DIGEST="{digest}"']
    return [*linker, *flags, "-o", str(target), str(_SOURCE)]


if __name__ == "__main__":
    if reason := why_not_compiled():
        print(f"messages are read by Python alone, for a quarter more CPU time: {reason}")
