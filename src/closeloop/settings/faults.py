"""Says in plain words what is wrong in a file of settings: where, the value, what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from closeloop.errors import SettingsError, redact

NEVER_SHOWN = ("api_key", "password", "connection_string", "kafka")
"""Settings whose value stands in no message."""

KEY = "[key]"
"""Ends the place of a name that is wrong itself, not its value."""

WORDS = {
    "missing": "is missing; add it",
    "too_short": "is empty; write at least {min_length}",
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "int_parsing": "write a whole number",
    "int_type": "write a whole number",
    "int_from_float": "write a whole number",
    "float_parsing": "write a number",
    "float_type": "write a number",
    "finite_number": "write a number that is not infinite",
    "greater_than": "write a number above {gt:g}",
    "greater_than_equal": "write {ge:g} or more",
    "less_than": "write a number below {lt:g}",
    "less_than_equal": "write {le:g} or less",
    "string_type": "write text; put it in quotes where it looks like a number or a date",
    "tuple_type": "write a list, as [one, another]",
    "list_type": "write a list, as [one, another]",
    "dict_type": "write settings by name, as 'name: value'",
    "model_type": "write settings by name, as 'name: value'",
    "model_attributes_type": "write settings by name, as 'name: value'",
}
"""What to write instead, by pydantic's type of error; its own words are about programs."""
CHOICES = {"bool_parsing": "'true' or 'false'", "bool_type": "'true' or 'false'"}


def explained(
    path: Path, error: ValidationError, tree: yaml.Node | None, model: type[BaseModel]
) -> SettingsError:
    """Return every fault of a file as one error, in the order of its lines."""
    found = [_fault(path, one, tree, model) for one in error.errors(include_url=False)]
    found.sort(key=lambda fault: fault[0])
    if len(found) == 1:
        _, told, cure = found[0]
        return SettingsError(told, hint=cure)
    lines = [f"{told}\n  {cure}" if cure else told for _, told, cure in found]
    return SettingsError("\n".join([f"{path}: {len(found)} errors", *lines]))


def _fault(
    path: Path, error: Any, tree: yaml.Node | None, model: type[BaseModel]
) -> tuple[int, str, str]:
    """Return the line of one fault (0: none), what is wrong, and the nearest that could be meant."""
    location: tuple[int | str, ...] = error["loc"]
    line = line_of(tree, location)
    at = f"{path}:{line}" if line else str(path)
    # A name that is wrong itself has its place twice: as the name, and as "[key]" below it.
    location = location[:-1] if location[-1:] == (KEY,) else location
    place = ".".join(str(part) for part in location) or "the file"
    if error["type"] == "extra_forbidden":
        known = list(_fields(model, location[:-1]))
        cure = did_you_mean(str(location[-1]), known) or f"settings here: {', '.join(known)}"
        return line or 0, f"{at}: there is no setting {place!r}", cure
    given = error.get("input")
    message, cure = _words(error, given)
    silent = error["type"] == "missing" or any(part in NEVER_SHOWN for part in location)
    value = "" if silent else f" (found {redact(_shown(given))!r})"
    return line or 0, f"{at}: {place}: {message}{value}", "" if silent else cure


def _words(error: Any, given: object) -> tuple[str, str]:
    """Return what to write, and the nearest of the allowed words where one is near."""
    kind, context = error["type"], error.get("ctx") or {}
    allowed = CHOICES.get(kind) or str(context.get("expected", ""))
    choices = [part.strip(" '") for part in allowed.replace(" or ", ", ").split(", ") if part]
    cure = did_you_mean(given, choices) if isinstance(given, str) else ""
    if kind in ("enum", "literal_error"):
        return f"write {'one of ' * (len(choices) > 1)}{', '.join(choices)}", cure
    if kind in WORDS:
        return WORDS[kind].format(**context), cure
    return str(error["msg"]).removeprefix("Value error, "), ""


def _shown(given: object) -> object:
    """Return a value as the file has it: no class of the program is shown to people."""
    if isinstance(given, Enum):
        return given.value
    return list(given) if isinstance(given, tuple) else given


def _fields(model: type[BaseModel], location: tuple[int | str, ...]) -> Iterator[str]:
    current: Any = model
    for part in location:
        if isinstance(part, str) and isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(part)
            if field is None:
                continue
            current = field.annotation
        current = _inner_model(current)
    if isinstance(current, type) and issubclass(current, BaseModel):
        yield from current.model_fields


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    return annotation


def line_of(tree: yaml.Node | None, location: tuple[int | str, ...]) -> int | None:
    node = tree
    line = None
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif (
            isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value)
        ):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else ""
