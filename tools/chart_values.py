"""Write the chart's values.yaml, and the table of values in docs/kubernetes.md, from values.schema.json.

The schema is the only source of a value's default and meaning. With `--check` nothing is changed, and the
exit code is 1 if a file differs.
"""

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from generated import renew, table, with_tables

ROOT = Path(__file__).parent.parent
SCHEMA = Path("deploy/chart/values.schema.json")
VALUES = Path("deploy/chart/values.yaml")
PAGE = Path("docs/kubernetes.md")

COMMENT_COLUMNS = 100

HEAD = "# Written by `make docs` from values.schema.json, where each default and meaning stands.\n"

_Schema = Mapping[str, Any]


def values_file(schema: _Schema) -> str:
    """Return values.yaml: every value with its default, below a comment with its meaning."""
    return HEAD + "".join(_values(schema, ""))


def values_table(schema: _Schema) -> str:
    """Return the table of all values, in Markdown."""
    rows = (
        (f"`{name}`", f"`{json.dumps(value['default'])}`", value["description"])
        for name, value in _leaves(schema)
    )
    return table(("Value", "Default", "Meaning"), rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Renew or check both files; return the exit code."""
    parser = argparse.ArgumentParser(description="Write values.yaml and the table of values.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a file differs")
    parser.add_argument("root", nargs="?", type=Path, default=ROOT, help="the project's folder")
    options = parser.parse_args(arguments)
    schema = json.loads((options.root / SCHEMA).read_text(encoding="utf-8"))
    page = options.root / PAGE
    content = with_tables(page.read_text(encoding="utf-8"), {"values": lambda: values_table(schema)})
    wanted = {options.root / VALUES: values_file(schema), page: content}
    return renew(wanted, only_check=options.check, remedy="tools/chart_values.py")


def _values(schema: _Schema, margin: str) -> Iterator[str]:
    for name, value in _properties(schema):
        if not margin:
            yield "\n"
        comment = textwrap.wrap(value["description"], COMMENT_COLUMNS - len(margin))
        yield from (f"{margin}# {line}\n" for line in comment)
        if "properties" in value:
            yield f"{margin}{name}:\n"
            yield from _values(value, margin + "  ")
        else:
            yield from _yaml(name, value["default"], margin)


def _yaml(name: str, value: object, margin: str) -> Iterator[str]:
    """Yield a default as YAML, with one line for each item of its inner collections."""
    if isinstance(value, dict) and value:
        yield f"{margin}{name}:\n"
        for key, inner in value.items():
            yield from _yaml(key, inner, margin + "  ")
    elif isinstance(value, list) and value:
        yield f"{margin}{name}:\n"
        # JSON is YAML.
        yield from (f"{margin}  - {json.dumps(item)}\n" for item in value)
    else:
        yield f"{margin}{name}: {json.dumps(value)}\n"


def _leaves(schema: _Schema, before: str = "") -> Iterator[tuple[str, _Schema]]:
    for name, value in _properties(schema):
        if "properties" in value:
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield before + name, value


def _properties(schema: _Schema) -> Iterator[tuple[str, _Schema]]:
    # `global` belongs to Helm: it has no default, and readers of values.yaml need not know it.
    return ((name, value) for name, value in schema["properties"].items() if name != "global")


if __name__ == "__main__":
    sys.exit(main())
