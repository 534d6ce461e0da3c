"""Write the chart's values.yaml, and the table of values in docs/kubernetes.md, from values.schema.json.

The schema is the one place where a value's default and meaning stand. With `--check` nothing is changed, and
the exit code is 1 when a file is not what the schema says.
"""

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SCHEMA = Path("deploy/chart/values.schema.json")
VALUES = Path("deploy/chart/values.yaml")
PAGE = Path("docs/kubernetes.md")

COMMENT_COLUMNS = 100

HEAD = "# Written by `make docs` from values.schema.json, where each default and meaning stands.\n"

_TABLE = re.compile(r"(<!-- table: values -->\n).*?(<!-- end -->)", re.DOTALL)

_Schema = Mapping[str, Any]


def values_file(schema: _Schema) -> str:
    """Return values.yaml: every value with its default, below a comment that says what it means."""
    return HEAD + "".join(_values(schema, ""))


def values_table(schema: _Schema) -> str:
    """Return the table of all values, in Markdown."""
    rows = [
        (f"`{name}`", f"`{json.dumps(value['default'])}`", value["description"])
        for name, value in _leaves(schema)
    ]
    lines = [("Value", "Default", "Meaning"), ("---", "---", "---"), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in lines)


def renewed_page(page: str, schema: _Schema) -> str:
    """Return the page with the table anew; raise `ValueError` when it has no place for one."""
    after, places = _TABLE.subn(lambda found: found[1] + values_table(schema) + found[2], page)
    if places != 1:
        raise ValueError("the page must hold <!-- table: values --> and <!-- end --> once")
    return after


def main(arguments: Sequence[str] | None = None) -> int:
    """Renew or check both files; return the exit code."""
    parser = argparse.ArgumentParser(description="Write values.yaml and the table of values.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when they differ")
    parser.add_argument("root", nargs="?", type=Path, default=ROOT, help="the project's folder")
    options = parser.parse_args(arguments)
    schema = json.loads((options.root / SCHEMA).read_text(encoding="utf-8"))
    page = (options.root / PAGE).read_text(encoding="utf-8")
    is_current = True
    for path, content in ((VALUES, values_file(schema)), (PAGE, renewed_page(page, schema))):
        file = options.root / path
        if file.exists() and file.read_text(encoding="utf-8") == content:
            continue
        is_current = False
        if options.check:
            print(f"{path} is not what {SCHEMA.name} says: run tools/chart_values.py", file=sys.stderr)
        else:
            file.write_text(content, encoding="utf-8")
    return 0 if is_current or not options.check else 1


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
    """Yield a default as block YAML, its inner collections one below the other."""
    if isinstance(value, dict) and value:
        yield f"{margin}{name}:\n"
        for key, inner in value.items():
            yield from _yaml(key, inner, margin + "  ")
    elif isinstance(value, list) and value:
        yield f"{margin}{name}:\n"
        # JSON is YAML, too.
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
    # `global` is Helm's: it has no default, and nobody who reads values.yaml has to know of it.
    return ((name, value) for name, value in schema["properties"].items() if name != "global")


if __name__ == "__main__":
    sys.exit(main())
