"""Values of settings: durations, time zones, secrets by reference only."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
)

from closeloop.errors import SettingsError

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|m|h|d|w)\s*$")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
REFERENCE = re.compile(r"\$\{(env|file|databricks):([^}]*)\}")


def duration(value: object) -> timedelta:
    """Return a duration written as 90s, 15m, 26h, 3d or 2w. Raises ValueError for anything else."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(str(value))
    if match is None:
        raise ValueError("give a number and a unit: 90s, 15m, 26h, 3d or 2w")
    return timedelta(seconds=float(match[1]) * _UNIT_SECONDS[match[2]])


Duration = Annotated[timedelta, BeforeValidator(duration)]


def resolve(text: str, *, where: str) -> str:
    """Return text with ${env:NAME} and ${file:PATH} replaced by what they refer to.

    Raises SettingsError naming the reference, never the value, where one can't be resolved.
    """

    def one(match: re.Match[str]) -> str:
        kind, name = match[1], match[2]
        if kind == "env":
            value = os.environ.get(name)
            if value is None:
                raise SettingsError(
                    f"{where}: the environment variable {name} is not set",
                    hint=f"export {name}=… and run again",
                )
            return value
        if kind == "file":
            try:
                return Path(name).expanduser().read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SettingsError(
                    f"{where}: the file {name} can't be read ({error.strerror})",
                    hint="check the path and its permissions",
                ) from error
        return _databricks_secret(name, where=where)

    return REFERENCE.sub(one, text)


def _databricks_secret(name: str, *, where: str) -> str:
    from closeloop.engines.databricks import secret

    scope, _, key = name.partition("/")
    try:
        return secret(scope, key)
    except ImportError as error:
        raise SettingsError(
            f"{where}: ${{databricks:…}} can be resolved on Databricks only",
            hint="use ${env:NAME} or ${file:PATH} on this machine",
        ) from error


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def reference(value: str | None) -> str | None:
    if value is not None and not REFERENCE.fullmatch(value):
        raise ValueError("a secret is never written here; refer to it as ${env:NAME}")
    return value


def zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("no known time zone; write it like Europe/Berlin or UTC") from error
    return value
