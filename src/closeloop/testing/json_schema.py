"""Checks values against the part of JSON Schema that the vendors' contracts use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_IGNORED = frozenset(
    {
        "title", "description", "default", "format", "example", "examples", "deprecated",
        "nullable", "discriminator",
    }
)  # fmt: skip
_SILENT_PREFIX = "x-"


def violations(value: Any, schema: Mapping[str, Any], *, root: Mapping[str, Any]) -> list[str]:
    """Return what in a value breaks a schema, each with its place; nothing for a good value.

    `root` is the document that $ref points into. Raises ValueError for a keyword that is not
    known here, so that none is passed over in silence.
    """
    return _check(value, schema, root, "$")


def _check(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str) -> list[str]:
    found: list[str] = []
    for keyword, wanted in schema.items():
        if keyword in _IGNORED or keyword.startswith(_SILENT_PREFIX):
            continue
        check = _KEYWORDS.get(keyword)
        if check is None:
            raise ValueError(f"{at}: JSON Schema keyword {keyword!r} is not known here")
        found += check(value, wanted, schema, root, at)
    return found


def _ref(value: Any, wanted: Any, _: Any, root: Mapping[str, Any], at: str) -> list[str]:
    target: Any = root
    for part in str(wanted).removeprefix("#/").split("/"):
        target = target[part]
    return _check(value, target, root, at)


def _type(value: Any, wanted: Any, schema: Mapping[str, Any], _: Any, at: str) -> list[str]:
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if value is None and schema.get("nullable"):
        return []
    fits = any(
        isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))
        for name in names
    )
    return [] if fits else [f"{at}: {type(value).__name__} is no {' or '.join(names)}"]


def _enum(value: Any, wanted: Any, _: Any, __: Any, at: str) -> list[str]:
    return [] if value in wanted else [f"{at}: {value!r} is none of {wanted}"]


def _properties(value: Any, wanted: Any, _: Any, root: Mapping[str, Any], at: str) -> list[str]:
    if not isinstance(value, dict):
        return []
    found = []
    for name in value.keys() & wanted.keys():
        found += _check(value[name], wanted[name], root, f"{at}.{name}")
    return found


def _required(value: Any, wanted: Any, _: Any, __: Any, at: str) -> list[str]:
    if not isinstance(value, dict):
        return []
    return [f"{at}: lacks {name}" for name in wanted if name not in value]


def _additional(
    value: Any, wanted: Any, schema: Mapping[str, Any], root: Any, at: str
) -> list[str]:
    if not isinstance(value, dict) or wanted is True:
        return []
    more = [name for name in value if name not in schema.get("properties", {})]
    if wanted is False:
        return [f"{at}: {name} is not part of it" for name in more]
    return [line for name in more for line in _check(value[name], wanted, root, f"{at}.{name}")]


def _items(value: Any, wanted: Any, _: Any, root: Mapping[str, Any], at: str) -> list[str]:
    if not isinstance(value, list):
        return []
    return [
        line
        for number, item in enumerate(value)
        for line in _check(item, wanted, root, f"{at}[{number}]")
    ]


def _bounds(keyword: str) -> Any:
    def check(value: Any, wanted: Any, _: Any, __: Any, at: str) -> list[str]:
        kind = (list,) if keyword.endswith("Items") else (str,)
        if keyword in ("minimum", "maximum"):
            if isinstance(value, bool) or not isinstance(value, int | float):
                return []
            size = value
        elif isinstance(value, kind):
            size = len(value)
        else:
            return []
        fits = size >= wanted if keyword.startswith("min") else size <= wanted
        return [] if fits else [f"{at}: {size} breaks {keyword} {wanted}"]

    return check


def _some_of(least: int, most: int | None) -> Any:
    def check(value: Any, wanted: Any, _: Any, root: Mapping[str, Any], at: str) -> list[str]:
        fits = sum(not _check(value, schema, root, at) for schema in wanted)
        if fits >= least and (most is None or fits <= most):
            return []
        return [f"{at}: fits {fits} of {len(wanted)} alternatives"]

    return check


def _all_of(value: Any, wanted: Any, _: Any, root: Mapping[str, Any], at: str) -> list[str]:
    return [line for schema in wanted for line in _check(value, schema, root, at)]


_KEYWORDS: dict[str, Any] = {
    "$ref": _ref,
    "type": _type,
    "enum": _enum,
    "properties": _properties,
    "required": _required,
    "additionalProperties": _additional,
    "items": _items,
    "allOf": _all_of,
    "anyOf": _some_of(1, None),
    "oneOf": _some_of(1, 1),
    **{
        name: _bounds(name)
        for name in ("minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum")
    },
}
