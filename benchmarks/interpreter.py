"""How suitable an interpreter is for Peep: `PYTHON benchmarks/interpreter.py`, which any Python can run.

Exit code 0: it is optimised; 3: it will do, a tenth slower; any other: it is too old, or cannot make virtual
environments.
"""

import sys
import sysconfig

SUITABLE = 3


def is_optimised():
    # type: () -> bool
    """Return whether this interpreter was built with profile-guided optimisation.

    Debian and Ubuntu optimise theirs by `make profile-opt`, without the option, and then take the compiler's
    flag for it out of what the interpreter says of itself.
    """
    options = str(sysconfig.get_config_var("CONFIG_ARGS"))
    return "--enable-optimizations" in options or sysconfig.get_config_var("PGO_PROF_USE_FLAG") == ""


if __name__ == "__main__":
    import ensurepip  # noqa: F401 - Debian has it in a package of its own
    import venv  # noqa: F401

    if sys.version_info < (3, 11):  # noqa: UP036 - that is the question
        sys.exit("Peep needs Python 3.11 or later")
    sys.exit(0 if is_optimised() else SUITABLE)
