"""Reads one file of settings; an error names the file, the line, the place and the way out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import (
    BaseModel,
    ValidationError,
)

from closeloop.errors import SettingsError
from closeloop.settings.faults import explained

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
        raise explained(path, error, tree, model) from error
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    label = raw.get("name", path.stem)
    return parsed, f"{label}@{digest}"
