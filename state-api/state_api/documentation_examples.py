"""Examples of bodies for the documentation, made from the schemas."""

from collections.abc import Mapping
from typing import Any

_OF_TYPES: Mapping[str, Any] = {"boolean": False, "integer": 1, "number": 1.5, "string": "text", "null": None}
_OF_FORMATS = {"date-time": "2027-03-01T12:00:00Z"}


def example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """Return a value as `schema` (JSON Schema) describes; `schemas` has those that it refers to by name."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return example(schema[word][0], schemas)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "array":
            return [example(schema["items"], schemas)]
        case "object":
            fields = schema.get("properties", {}).items()
            return {name: example(field, schemas) for name, field in fields}
        case kind:
            default = schema.get("default", schema.get("minimum", _OF_TYPES.get(str(kind))))
            return _OF_FORMATS.get(schema.get("format", ""), default)


def forms(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the schemas of which a body may have any."""
    return list(schema.get("oneOf") or schema.get("anyOf") or [schema])
