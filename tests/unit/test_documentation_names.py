"""Whatever the pages for operators name is there: commands, variables, metrics, routes."""

import re
from typing import Any

import pytest
import typer

from peepctl.__main__ import app
from support.documentation import PAGES, ROOT, names

OPERATORS_PAGES = [
    ROOT / "README.md",
    *sorted(PAGES.glob("*.md")),
    *sorted((PAGES / "delivery").glob("*.md")),
]
REFERENCE = (PAGES / "reference.md").read_text(encoding="utf-8")
CONTAINERS = "".join(path.read_text() for path in (ROOT / "docker-compose.yml", ROOT / "compose.scale.yml"))

# Each of these pages promises that all of its commands were run.
TRIED_PAGES = (
    "install.md",
    "configure.md",
    "monitoring.md",
    "backup.md",
    "upgrade.md",
    "migrate.md",
    "administrators.md",
    "troubleshooting.md",
    "beside-dovecot-and-postfix.md",
)

_CODE = re.compile(r"```.*?```|`[^`\n]+`|^ {4}.*$", re.DOTALL | re.MULTILINE)


def found(pattern: str) -> list[tuple[str, str]]:
    """Return (page, what the pattern found in code there)."""
    return [
        (page.name, match)
        for page in OPERATORS_PAGES
        for code in _CODE.findall(page.read_text(encoding="utf-8"))
        for match in re.findall(pattern, code)
    ]


ALL_COMMANDS: Any = typer.main.get_command(app)


def is_command_of_peepctl(line: str) -> bool:
    """Whether peepctl has the command that a line names, with its options."""
    words = line.split("#")[0].split()
    command = ALL_COMMANDS
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    wanted = {word for word in words if word.startswith("--")}
    is_group = hasattr(command, "commands") and not command.invoke_without_command
    return not is_group and wanted <= options


def test_every_command_of_peepctl_exists() -> None:
    told = found(r"peepctl +([a-z][a-z-]*(?: +[^`|;)\n]*)?)")
    assert len(told) > 30
    assert [(page, line) for page, line in told if not is_command_of_peepctl(line)] == []


@pytest.mark.parametrize("line", ["user add bob", "users add bob --secret x", "users", "set-timeout 5"])
def test_a_command_that_peepctl_has_not_is_noticed(line: str) -> None:
    assert not is_command_of_peepctl(line)


def test_every_variable_exists() -> None:
    told = found(r"\bPEEP_[A-Z0-9_]*[A-Z0-9]\b")
    assert len(told) > 100
    known = set(re.findall(r"\bPEEP_[A-Z0-9_]+\b", REFERENCE + CONTAINERS))
    assert [(page, name) for page, name in told if name not in known] == []


def test_every_metric_exists() -> None:
    told = found(r"\bpeep_(?:store|pop3|build)_[a-z_]*[a-z]\b")
    assert len(told) > 20
    known = set(re.findall(r"^\| `(peep_[a-z0-9_]+)`", REFERENCE, re.MULTILINE))
    assert [(page, name) for page, name in told if name not in known] == []


def test_every_route_exists() -> None:
    told = found(r"/v1/[a-z]+|/(?:livez|readyz|metrics)\b")
    assert len(told) > 10
    known = set(re.findall(r"^\| `[A-Z]+ (/[a-z0-9/]+)", REFERENCE, re.MULTILINE))
    assert [(page, route) for page, route in told if route not in known] == []


@pytest.mark.parametrize("page", TRIED_PAGES)
def test_all_shell_commands_of_a_page_are_run_by_a_test(page: str) -> None:
    text = (PAGES / page).read_text(encoding="utf-8")
    assert text.count("```sh\n") == len(names(page)) > 0
    tests = ROOT.glob("tests/*/test_*.py")
    code = "".join(test.read_text(encoding="utf-8") for test in tests)
    assert [name for name in names(page) if f'commands("{page}", "{name}")' not in code] == []
