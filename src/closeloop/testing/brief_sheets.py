"""The frozen fact sheets that briefs are evaluated on; made from the simulator's shops."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from closeloop.domain.brief import FactSheet
from closeloop.stages.fact_sheet import from_json


@cache
def frozen_sheets() -> tuple[FactSheet, ...]:
    """Return the sheets, with and without a change that is blamed, in a fixed order."""
    text = files("closeloop.testing").joinpath("brief_sheets.jsonl").read_text(encoding="utf-8")
    return tuple(from_json(line) for line in text.splitlines() if line)
