"""Which language models their vendor retires, and when: a dated table and what it says of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

WARNED_BEFORE = timedelta(days=120)
"""Time to choose another model, try it and change the deployment."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """A model's end: from `month` (YYYY-MM) on it does not answer."""

    family: str
    month: str
    over: bool


@dataclass(frozen=True, slots=True)
class Retirements:
    """Months of retirement by the beginning of a model's name, as known on a day."""

    months: Mapping[str, str]
    as_of: str

    def of(self, model: str | None, *, now: datetime) -> Retirement | None:
        """Return a model's retirement when it is over or near; None for one that stays."""
        name = (model or "").lower()
        families = [f for f in self.months if name == f or name.startswith(f"{f}-")]
        if not families:
            return None
        family = max(families, key=len)
        month = self.months[family]
        year, number = (int(part) for part in month.split("-"))
        begins = datetime(year, number, 1, tzinfo=now.tzinfo)
        if now < begins - WARNED_BEFORE:
            return None
        return Retirement(family=family, month=month, over=now >= begins)
