"""Reads the dated tables of what vendors charge and retire: closeloop's own, and a workspace's over them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from closeloop.domain.model_call import Price, PriceTable
from closeloop.domain.retirement import Retirements
from closeloop.settings import parse_file

PRICES_FILE = "prices.yaml"
RETIREMENTS_FILE = "model_retirements.yaml"
NOWHERE = Path("/nonexistent")
"""A folder without files: only what closeloop comes with is read."""

Day = Annotated[str, BeforeValidator(str), StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Month = Annotated[str, StringConstraints(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PriceSettings(_Strict):
    """One model's price: US dollars for a million tokens."""

    input: float = Field(ge=0)
    output: float = Field(0.0, ge=0)
    cached_input: float | None = Field(None, ge=0)


class PricesSettings(_Strict):
    """All of prices.yaml."""

    as_of: Day
    source: str = "this workspace"
    batch_factor: float = Field(0.5, gt=0, le=1)
    models: dict[str, PriceSettings] = Field(default_factory=dict)


class RetirementsSettings(_Strict):
    """All of model_retirements.yaml."""

    as_of: Day
    models: dict[str, Month | None] = Field(default_factory=dict)


def load_prices(folder: Path) -> PriceTable:
    """Return the prices that hold in a workspace, its own file first.

    Raises SettingsError where that file is wrong.
    """
    shipped, _ = parse_file(NOWHERE, PRICES_FILE, PricesSettings)
    own, _ = parse_file(folder, PRICES_FILE, PricesSettings)
    merged: Mapping[str, Any] = {**shipped.models, **own.models}
    return PriceTable(
        prices={name.lower(): Price(**p.model_dump()) for name, p in merged.items()},
        as_of=own.as_of,
        source=own.source,
        batch_factor=own.batch_factor,
    )


def load_retirements(folder: Path) -> Retirements:
    """Return the retirements that hold in a workspace, its own file first.

    Raises SettingsError where that file is wrong.
    """
    shipped, _ = parse_file(NOWHERE, RETIREMENTS_FILE, RetirementsSettings)
    own, _ = parse_file(folder, RETIREMENTS_FILE, RetirementsSettings)
    merged = {**shipped.models, **own.models}
    months = {name.lower(): month for name, month in merged.items() if month is not None}
    return Retirements(months=months, as_of=own.as_of)
