"""Reads one file of settings; an error names the file, the line, the place and the way out."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ValidationError,
)

from closeloop.errors import SettingsError, redact

Model = TypeVar("Model", bound=BaseModel)


def default_text(name: str) -> str:
    """Return the text of a default file, as `closeloop init` writes it."""
    return files("closeloop").joinpath("defaults", name).read_text(encoding="utf-8")


def parse_file(folder: Path, name: str, model: type[Model]) -> tuple[Model, str]:
    """Return what a file of a workspace says, and its version; an absent file counts as its default.

    Raises SettingsError with file, line, place, value and what to write instead.
    """
    path = folder / name
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = default_text(name)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: can't be read: {error}") from error
    try:
        raw = yaml.safe_load(text)
        tree = yaml.compose(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise SettingsError(f"{path}{line}: no valid YAML: {problem}") from error
    if raw is None:
        raw = {}
    if not isinstance(raw, Mapping):
        raise SettingsError(f"{path}: holds {type(raw).__name__}, not settings by name")
    try:
        parsed = model.model_validate(raw)
    except ValidationError as error:
        raise _explain(path, error, tree, model) from error
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    label = raw.get("name", path.stem)
    return parsed, f"{label}@{digest}"


_NEVER_SHOWN = ("api_key", "password", "connection_string", "kafka")
"""Settings whose value stands in no message."""


def _explain(
    path: Path, error: ValidationError, tree: yaml.Node | None, model: type[BaseModel]
) -> SettingsError:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    line = line_of(tree, first["loc"])
    at_line = f":{line}" if line else ""
    more = f" ({error.error_count() - 1} more after this one)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        known = list(_fields(model, first["loc"][:-1]))
        return SettingsError(
            f"{path}{at_line}: there is no setting {place!r}{more}",
            hint=did_you_mean(str(first["loc"][-1]), known) or f"settings here: {', '.join(known)}",
        )
    message = str(first["msg"]).removeprefix("Value error, ")
    silent = first["type"] == "missing" or first["loc"][-1] in _NEVER_SHOWN
    value = "" if silent else f" (found {redact(first.get('input'))!r})"
    return SettingsError(f"{path}{at_line}: {place}: {message}{value}{more}")


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
