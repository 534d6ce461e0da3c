"""What the start of a program does not import: each of these packages would take 0.05 s or more of it."""

import subprocess
import sys

import pytest

UNWANTED = {
    "pop3_service": {"rich", "pygments", "opentelemetry", "fastapi", "uvicorn", "prometheus_client"},
    "peep_gateway": {"rich", "pygments", "opentelemetry", "fastapi", "uvicorn", "prometheus_client"},
    "state_api": {"rich", "pygments", "pydantic.v1"},
    "peepctl": {
        "rich",
        "pygments",
        "redis",
        "structlog",
        "pydantic",
        "prompt_toolkit",
        "fastapi",
        "peepctl.up",
    },
}
OF_A_SERVICE = {"fastapi", "redis", "structlog", "pydantic", "uvloop", "asyncio"}
"""What a health check does not import either."""

PRINT_MODULES = """
import runpy, sys
try:
    runpy.run_module(sys.argv[0], run_name="__main__")
except SystemExit:
    pass
print(*(name for name, module in sys.modules.items() if module is not None), file=sys.stderr)
"""


def imported_by(program: str, *arguments: str) -> set[str]:
    """Return all modules of a program that has run with these arguments."""
    code = f"import sys; sys.argv = {[program, *arguments]!r}" + PRINT_MODULES
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(run.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("program", UNWANTED)
def test_start_imports_nothing_that_it_does_without(program: str) -> None:
    imported = imported_by(program, "--version")
    assert f"{program}.service" in imported or program == "peepctl"
    assert imported & UNWANTED[program] == set()


@pytest.mark.parametrize("program", ["pop3_service", "peep_gateway", "state_api"])
def test_health_check_imports_nothing_of_its_service(program: str) -> None:
    imported = imported_by(program, "health")
    assert f"{program}.service" not in imported
    assert imported & OF_A_SERVICE == set()
