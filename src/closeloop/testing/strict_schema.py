"""What strict structured output demands of a JSON schema, and the smallest value that fits one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MAX_PROPERTIES = 100
MAX_LEVELS = 5
REFUSED = frozenset(
    {
        "format", "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength",
        "minProperties", "minimum", "multipleOf", "pattern", "patternProperties", "propertyNames",
        "uniqueItems",
    }
)  # fmt: skip
"""Limits and keywords of Azure's page on structured outputs."""


def strictness_faults(schema: Mapping[str, Any]) -> list[str]:
    """Return why the service would refuse a schema as strict; nothing for a good one."""
    if schema.get("type") != "object":
        return ["the root must be an object" if "anyOf" not in schema else "anyOf at the root"]
    faults = []
    count = 0
    for place, part, level in _parts(schema, schema, "$", 1):
        count += len(part.get("properties", {}))
        faults += [f"{place}: {keyword} is not permitted" for keyword in REFUSED & part.keys()]
        if level > MAX_LEVELS:
            faults.append(f"{place}: more than {MAX_LEVELS} levels")
        if part.get("type") == "object":
            names = set(part.get("properties", {}))
            if part.get("additionalProperties") is not False:
                faults.append(f"{place}: additionalProperties must be false")
            if names != set(part.get("required", ())):
                faults.append(f"{place}: every property must be required")
    if count > MAX_PROPERTIES:
        faults.append(f"{count} properties, more than {MAX_PROPERTIES}")
    return sorted(set(faults))


def fitting(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    """Return the smallest value that fits a schema of the strict subset."""
    root = schema if root is None else root
    if "$ref" in schema:
        return fitting(_target(schema, root), root)
    if "anyOf" in schema:
        return fitting(schema["anyOf"][0], root)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: fitting(part, root) for name, part in schema.get("properties", {}).items()}
    empty: dict[str, Any] = {
        "array": [], "string": "text", "integer": 0, "number": 0, "boolean": False, "null": None
    }  # fmt: skip
    return empty[kind]


def _parts(
    schema: Mapping[str, Any], root: Mapping[str, Any], place: str, level: int
) -> Iterator[tuple[str, Mapping[str, Any], int]]:
    if "$ref" in schema:
        if level <= MAX_LEVELS:
            yield from _parts(_target(schema, root), root, place, level)
        return
    yield place, schema, level
    for name, part in schema.get("properties", {}).items():
        yield from _parts(part, root, f"{place}.{name}", level + 1)
    if isinstance(schema.get("items"), Mapping):
        yield from _parts(schema["items"], root, f"{place}[]", level)
    for number, part in enumerate(schema.get("anyOf", ())):
        yield from _parts(part, root, f"{place}|{number}", level)


def _target(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    target: Any = root
    for part in str(schema["$ref"]).removeprefix("#/").split("/"):
        target = target[part]
    found: Mapping[str, Any] = target
    return found
